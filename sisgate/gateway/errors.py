"""Patterns of errors: what fails how often, since when, and what is taken to be fixed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy.orm import Session

from sisgate.access.policy import Action, covers_some, providers_of
from sisgate.audit import log as audit
from sisgate.domain.alert_states import PatternState
from sisgate.domain.validation import aware, chosen
from sisgate.errors import UnknownErrorPattern
from sisgate.gateway.core import Core
from sisgate.ledger import error_patterns as ledger
from sisgate.ledger.schema import ErrorPattern
from sisgate.monitoring.error_trends import BEFORE, Trend, by_hour, is_spike, per_span, trend_of

FIXED_LIMIT = 200


@dataclass(frozen=True)
class ErrorSummary:
    """A pattern of errors. The message has no values, and no student data.

    `lately` is how often it came in the last 20 minutes, `usual` how often in as long a time of the
    day before, and `by_hour` in each of the last 24 hours, the oldest first. `is_new`: it was first
    seen in these. One that comes back after it was resolved is open again, since `reopened_at`.
    """

    id: str
    provider: str
    endpoint: str
    code: str
    status: int | None
    message: str
    count: int
    first_seen: datetime
    last_seen: datetime
    last_job: str | None
    state: PatternState
    resolved_at: datetime | None
    resolved_by: str | None
    fixed_in: str | None
    reopened_at: datetime | None
    lately: int
    usual: float
    trend: Trend
    is_spike: bool
    is_new: bool
    by_hour: Sequence[int]


_COLUMNS = [each.name for each in fields(ErrorSummary) if hasattr(ErrorPattern, each.name)]
"""What the ledger has of a pattern."""


class ErrorPatterns:
    """What fails, grouped by provider, endpoint, kind and message. Counted by workers."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def list(
        self,
        *,
        states: Sequence[PatternState | str] = ("open",),
        provider: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> Sequence[ErrorSummary]:
        """Return the patterns that the caller may see, the one that was seen last first."""
        principal = self._core.access.require_role(Action.LOOK)
        wanted = [PatternState(chosen("state", PatternState, each)) for each in states]
        moment = aware("since", since)
        with self._core.database.read() as session:
            rows = ledger.find(
                session, states=wanted, provider=provider, among=providers_of(principal),
                since=moment, limit=limit,
            )  # fmt: skip
            return _summaries(session, self._core.clock.now(), rows)

    def get(self, pattern_id: str) -> ErrorSummary:
        """Return the one pattern whose id begins so; `UnknownErrorPattern` otherwise."""
        principal = self._core.access.require_role(Action.LOOK)
        with self._core.database.read() as session:
            row = _one(session, pattern_id)
            if not covers_some(principal, row.provider):
                raise _unknown(pattern_id)
            return _summaries(session, self._core.clock.now(), [row])[0]

    def history(self, pattern_id: str) -> Mapping[datetime, int]:
        """Return how often a pattern came in each ten minutes of the last day, without zeros."""
        found = self.get(pattern_id)
        with self._core.database.read() as session:
            since = self._core.clock.now() - BEFORE
            return ledger.counts(session, [found.id], since).get(found.id, {})

    def resolve(self, pattern_id: str, *, fixed_in: str | None = None, actor: str) -> ErrorSummary:
        """Mark a pattern as fixed, and in what. If it comes back, it is open again."""
        fixed_in = fixed_in[:FIXED_LIMIT] if fixed_in else None

        def mark(row: ErrorPattern, who: str, now: datetime) -> None:
            row.state, row.resolved_at = PatternState.RESOLVED.value, now
            row.resolved_by, row.fixed_in = who, fixed_in

        return self._change(pattern_id, "resolve", mark, actor, fixed_in)

    def reopen(self, pattern_id: str, *, actor: str, reason: str | None = None) -> ErrorSummary:
        """Take back that a pattern is fixed; one that is open stays as it is."""

        def mark(row: ErrorPattern, _who: str, now: datetime) -> None:
            if row.state != PatternState.OPEN.value:
                row.state, row.reopened_at = PatternState.OPEN.value, now

        return self._change(pattern_id, "reopen", mark, actor, reason)

    def _change(
        self,
        pattern_id: str,
        act: str,
        mark: Callable[[ErrorPattern, str, datetime], None],
        actor: str,
        reason: str | None,
    ) -> ErrorSummary:
        self._core.access.require_role(Action.CONTROL)
        before = self.get(pattern_id)
        principal = self._core.access.require(Action.CONTROL, before.provider)
        actor, now = principal.token_actor or actor, self._core.clock.now()
        with self._core.database.write() as session:
            row = _one(session, before.id, lock=True)
            mark(row, actor, now)
            audit.record(
                session, now, actor=actor, action=f"errors:pattern:{act}",
                subject=f"error/{row.id}", reason=reason, provider=row.provider,
            )  # fmt: skip
            return _summaries(session, now, [row])[0]


def _summaries(session: Session, now: datetime, rows: Sequence[ErrorPattern]) -> list[ErrorSummary]:
    counts = ledger.counts(session, [row.id for row in rows], now - BEFORE)
    return [summary_of(row, counts.get(row.id, {}), now) for row in rows]


def summary_of(row: ErrorPattern, counts: Mapping[datetime, int], now: datetime) -> ErrorSummary:
    """Return a pattern from its row and its counts of the last day."""
    lately, usual = per_span(counts, now)
    columns = {name: getattr(row, name) for name in _COLUMNS}
    return ErrorSummary(
        **{**columns, "state": PatternState(row.state)}, lately=lately, usual=round(usual, 2),
        trend=trend_of(counts, now), is_spike=is_spike(counts, row.first_seen, row.last_seen, now),
        is_new=row.first_seen > now - BEFORE, by_hour=by_hour(counts, now),
    )  # fmt: skip


def _one(session: Session, pattern_id: str, *, lock: bool = False) -> ErrorPattern:
    start = pattern_id.strip()
    rows = ledger.beginning(session, start, lock=lock) if start else []
    if len(rows) != 1:
        raise _unknown(pattern_id)
    return rows[0]


def _unknown(pattern_id: str) -> UnknownErrorPattern:
    return UnknownErrorPattern(
        f"No error pattern has the id {pattern_id[:40]}, or several begin so. `sisgate errors "
        "list` shows them.",
        pattern=pattern_id[:40],
    )
