"""How long each table keeps its rows: deleting what has expired, or counting it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sisgate.audit import log as audit
from sisgate.clock import Clock
from sisgate.ledger import controls, expiry
from sisgate.ledger.database import Database
from sisgate.ledger.expiry import Expiry
from sisgate.ledger.usage import HOUR, SETTLED
from sisgate.settings.fleet import FleetSettings

MARGIN = timedelta(hours=1)
"""Longer than any lease: by then every call of an ended job has ended too."""

SCANS = "originals"
"""The rule that scans every record; it runs less often."""


@dataclass(frozen=True)
class RetentionRule:
    """One thing that is kept for a time. `keep` is None if it is kept for ever."""

    name: str
    setting: str
    keep: timedelta | None
    before: datetime | None


@dataclass(frozen=True)
class Rule(RetentionRule):
    """The same with how it is deleted."""

    expiry: Expiry


@dataclass(frozen=True)
class RetentionResult:
    """What one rule has deleted, or would. `finished` is False if time ran out first."""

    rule: RetentionRule
    rows: Counter[str] = field(default_factory=Counter)
    finished: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready, but for the time."""
        rule = self.rule
        return {
            "rule": rule.name, "setting": rule.setting, "before": rule.before,
            "keep_seconds": rule.keep.total_seconds() if rule.keep is not None else None,
            "rows": dict(self.rows), "finished": self.finished,
        }  # fmt: skip


def rules(settings: FleetSettings, longest_window: timedelta, now: datetime) -> list[Rule]:
    """Return every rule with the time before which things have expired.

    Whatever the settings say, a job is kept as long as a limiter might be rebuilt from its attempts
    (the longest window of any limit and a margin), and until its calls are rolled up.
    """
    kept = settings.retention

    def rule(
        name: str, keep: timedelta | None, kind: Expiry, least: timedelta = timedelta(0)
    ) -> Rule:
        before = now - max(keep, least) if keep is not None else None
        return Rule(name, f"retention.{name}", keep, before, kind)

    least = max(longest_window, HOUR + SETTLED) + MARGIN
    # Each answer carries its own time, so "before" is now.
    answers = Rule(
        "responses", "response_retention", settings.response_retention, now, expiry.RESPONSES
    )
    return [
        answers,
        rule("jobs", kept.jobs, expiry.JOBS, least),
        rule("usage", kept.usage, expiry.USAGE),
        rule("webhooks", kept.webhooks, expiry.WEBHOOK_EVENTS),
        rule("changes", kept.changes, expiry.CHANGES),
        rule("deleted_records", kept.deleted_records, expiry.RECORDS),
        rule("originals", kept.originals, expiry.ORIGINALS),
    ]


class Retention:
    """Runs the rules on one ledger. `by`, if given, is the actor in the audit log."""

    def __init__(
        self, database: Database, settings: FleetSettings, clock: Clock, *, by: str | None = None
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._by = by

    def preview(self) -> list[RetentionResult]:
        """Return what each rule would delete now. Deletes nothing."""
        results = []
        for rule in self._rules():
            with self._database.read() as session:
                rows = rule.expiry.count(session, rule.before) if rule.before else Counter[str]()
            results.append(RetentionResult(rule, rows))
        return results

    def run(
        self,
        *,
        actor: str,
        only: Callable[[Rule], bool] = lambda _rule: True,
        seconds: float | None = None,
        on_batch: Callable[[Rule, Counter[str]], None] = lambda _rule, _rows: None,
    ) -> list[RetentionResult]:
        """Delete what has expired, batch by batch, for at most `seconds`; return what was deleted.

        The audit log has what was deleted, even if the run is interrupted.
        """
        ends = self._clock.monotonic() + seconds if seconds is not None else None
        actor = self._by or actor
        return [self._sweep(rule, actor, ends, on_batch) for rule in self._rules() if only(rule)]

    def _sweep(
        self,
        rule: Rule,
        actor: str,
        ends: float | None,
        on_batch: Callable[[Rule, Counter[str]], None],
    ) -> RetentionResult:
        rows: Counter[str] = Counter()
        if rule.before is None:
            return RetentionResult(rule, rows)
        finished = True
        try:
            for batch in rule.expiry.delete(self._database, rule.before):
                rows.update(batch)
                on_batch(rule, rows)
                if ends is not None and self._clock.monotonic() >= ends:
                    finished = False
                    break
        finally:
            self._note(rule, +rows, actor)
        return RetentionResult(rule, +rows, finished)

    def _note(self, rule: Rule, rows: Counter[str], actor: str) -> None:
        if not rows:
            return
        with self._database.write() as session:
            audit.record(
                session,
                self._clock.now(),
                actor=actor,
                action=f"privacy:{rule.name}:expire",
                subject=rule.name,
                before=rule.before.isoformat() if rule.before else None,
                rows=dict(rows),
            )

    def _rules(self) -> list[Rule]:
        with self._database.read() as session:
            windows = [w for c in controls.all_set(session) for w in controls.windows_of(c) or ()]
        windows += [w for config in self._settings.providers.values() for w in config.windows]
        longest = max((window.period_seconds for window in windows), default=0.0)
        return rules(self._settings, timedelta(seconds=longest), self._clock.now())
