"""Patterns of errors in the ledger: counting them, finding them, and marking them as fixed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from sisgate.domain.alert_states import PatternState
from sisgate.domain.error_messages import fingerprint_of, without_values
from sisgate.domain.links import NOT_ERRORS
from sisgate.domain.states import JobKind
from sisgate.ledger.call_outcomes import EndedCall
from sisgate.ledger.schema import Call, ErrorCount, ErrorPattern, Job
from sisgate.ledger.statements import change, insert_into

COUNTS_KEPT = timedelta(days=14)
IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class SeenError:
    """An error that an attempt ended with."""

    at: datetime
    provider: str
    endpoint: str
    code: str
    status: int | None
    message: str
    job: str | None

    @property
    def pattern(self) -> str:
        """The id of its pattern."""
        return fingerprint_of(self.provider, self.endpoint, self.code, self.status, self.message)


def errors_among(session: Session, ended: Iterable[EndedCall]) -> list[SeenError]:
    """Return the errors among ended attempts, each with its message without values."""
    failed = [
        each
        for each in ended
        if each.detail.get("error") and each.detail["error"] not in NOT_ERRORS
    ]
    messages = _messages(session, {each.call for each in failed if each.call is not None})
    found = []
    for each in failed:
        code, status = str(each.detail["error"]), each.detail.get("status")
        error = messages.get(each.call or 0, {})
        # A later attempt of the call may have met another error since.
        text = str(error.get("message", "")) if error.get("code") == code else ""
        endpoint = str(each.detail.get("endpoint", ""))
        message = without_values(code, text) if text else _unsaid(status)
        found.append(SeenError(each.at, each.provider, endpoint, code, status, message, each.job))
    return found


def _unsaid(status: int | None) -> str:
    return "no answer" if status is None else f"the provider answered {status}"


def _messages(session: Session, ids: Collection[int]) -> dict[int, Mapping[str, Any]]:
    found: dict[int, Mapping[str, Any]] = {}
    ordered = sorted(ids)
    for start in range(0, len(ordered), IDS_AT_ONCE):
        some = ordered[start : start + IDS_AT_ONCE]
        rows = session.execute(select(Call.id, Call.error).where(Call.id.in_(some)))
        found |= {row[0]: row[1] for row in rows if row[1]}
    return found


def add(session: Session, seen: Sequence[SeenError]) -> None:
    """Count errors. Only for who has advanced the progress in this transaction."""
    by_pattern: dict[str, list[SeenError]] = {}
    for each in seen:
        by_pattern.setdefault(each.pattern, []).append(each)
    if not by_pattern:
        return
    known = {row.id: row for row in _rows(session, by_pattern)}
    counts: dict[tuple[str, datetime], int] = {}
    for pattern, errors in by_pattern.items():
        _add_to(session, known.get(pattern), pattern, errors)
        for each in errors:
            key = pattern, begin_of(each.at)
            counts[key] = counts.get(key, 0) + 1
    session.flush()
    upsert = insert_into(session, ErrorCount)
    upsert = upsert.on_conflict_do_update(
        index_elements=["pattern_id", "begin"],
        set_={"count": ErrorCount.count + upsert.excluded.count},
    )
    rows = [{"pattern_id": p, "begin": b, "count": n} for (p, b), n in counts.items()]
    session.execute(upsert, rows)
    newest = max(each.at for each in seen)
    change(session, delete(ErrorCount).where(ErrorCount.begin < newest - COUNTS_KEPT))


def _rows(session: Session, ids: Collection[str]) -> Sequence[ErrorPattern]:
    query = select(ErrorPattern).where(ErrorPattern.id.in_(ids)).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _add_to(
    session: Session, row: ErrorPattern | None, pattern: str, errors: Sequence[SeenError]
) -> None:
    first, last = min(errors, key=lambda e: e.at), max(errors, key=lambda e: e.at)
    if row is None:
        session.add(
            ErrorPattern(
                id=pattern, provider=last.provider, endpoint=last.endpoint, code=last.code,
                status=last.status, message=last.message, count=len(errors),
                first_seen=first.at, last_seen=last.at, last_job=last.job,
                state=PatternState.OPEN.value,
            )
        )  # fmt: skip
        return
    row.count += len(errors)
    row.last_seen, row.last_job = max(row.last_seen, last.at), last.job or row.last_job
    if row.state == PatternState.RESOLVED and row.resolved_at and last.at > row.resolved_at:
        row.state, row.reopened_at = PatternState.OPEN.value, last.at


def begin_of(at: datetime) -> datetime:
    """Return the beginning of the ten minutes that a moment is in."""
    return at.replace(minute=at.minute - at.minute % 10, second=0, microsecond=0)


def find(
    session: Session,
    *,
    states: Collection[PatternState] = (),
    provider: str | None = None,
    among: Collection[str] | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> Sequence[ErrorPattern]:
    """Return patterns, the one that was seen last first; `among` are providers, None for all."""
    query = select(ErrorPattern).order_by(ErrorPattern.last_seen.desc(), ErrorPattern.id)
    if states:
        query = query.where(ErrorPattern.state.in_(states))
    if provider is not None:
        query = query.where(ErrorPattern.provider == provider)
    if among is not None:
        query = query.where(ErrorPattern.provider.in_(among))
    if since is not None:
        query = query.where(ErrorPattern.last_seen >= since)
    return session.scalars(query.limit(limit)).all()


def news(session: Session, since: datetime, lately: datetime) -> Sequence[ErrorPattern]:
    """Return open patterns that are new or came back since a time, or were seen lately."""
    pattern = ErrorPattern
    is_news = or_(
        pattern.first_seen >= since, pattern.reopened_at >= since, pattern.last_seen >= lately
    )
    oldest = min(since, lately)
    query = select(pattern).where(
        pattern.state == PatternState.OPEN, pattern.last_seen >= oldest, is_news
    )
    return session.scalars(query.order_by(pattern.last_seen.desc()).limit(500)).all()


def of_requests(session: Session, patterns: Sequence[ErrorPattern]) -> Sequence[str]:
    """Return which patterns an app's request, not a sync, has met last, by their ids."""
    requests = set(
        session.scalars(
            select(Job.id).where(
                Job.id.in_([each.last_job for each in patterns if each.last_job]),
                Job.kind == JobKind.REQUEST,
            )
        )
    )
    return [each.id for each in patterns if each.last_job in requests]


def beginning(session: Session, start: str, *, lock: bool = False) -> Sequence[ErrorPattern]:
    """Return at most two patterns whose ids begin so."""
    query = select(ErrorPattern).where(ErrorPattern.id.startswith(start, autoescape=True)).limit(2)
    return session.scalars(query.with_for_update() if lock else query).all()


def counts(
    session: Session, ids: Collection[str], since: datetime
) -> dict[str, dict[datetime, int]]:
    """Return by pattern how often it came in each ten minutes since a time."""
    found: dict[str, dict[datetime, int]] = {}
    query = select(ErrorCount.pattern_id, ErrorCount.begin, ErrorCount.count).where(
        ErrorCount.pattern_id.in_(ids), ErrorCount.begin >= since
    )
    for pattern, begin, number in session.execute(query.order_by(ErrorCount.begin)):
        found.setdefault(pattern, {})[begin] = number
    return found


def total(session: Session) -> int:
    """Return how many errors were counted."""
    return int(session.scalar(select(func.coalesce(func.sum(ErrorPattern.count), 0))) or 0)
