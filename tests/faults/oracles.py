"""What must be true after a run, asked of the asking app's book, the provider and the ledger."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.audit import sealer
from sisgate.domain.call_results import CallResult
from sisgate.domain.states import CallState, JobState
from sisgate.ledger import rollups
from sisgate.ledger import schema as tables
from sisgate.ledger.attempts import was_sent
from sisgate.monitoring.counting import count_next
from testbed.recorder import windows_above
from tests.faults.book import Accepted
from tests.faults.changes import GUEST
from tests.faults.fleet import LIMIT, LIMITED, PERIOD_SECONDS, Fleet

RECOVERY_SECONDS = 10.0
"""Orphaned work is begun again, or given up, this long after its lease at the latest."""


@dataclass
class Findings:
    """What a run brought. Each entry of `breaks` is a broken promise, told for a person."""

    accepted: int = 0
    refused: int = 0
    calls_seen: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    """How the accepted jobs ended: a state, or a state and the code of its error."""
    lost: int = 0
    doubled: int = 0
    windows_above: int = 0
    unrecorded: int = 0
    untrue: int = 0
    uncertain: int = 0
    """Calls of which nobody knows whether the provider saw them: how far metrics may be off."""
    recoveries: list[float] = field(default_factory=list)
    """Seconds from the end of an orphan's lease until it was put back or given up."""
    begun_again: list[float] = field(default_factory=list)
    """Seconds until it was begun again, in its turn, where nothing more was disturbed."""
    begun_again_disturbed: list[float] = field(default_factory=list)
    """The same while more was being killed: what brings it back may have died as well."""
    breaks: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Add the findings of another run."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            if isinstance(mine, list):
                mine.extend(value)
            else:
                setattr(self, name, mine + value)


def examine(fleet: Fleet, found: Findings) -> None:
    """Look at a fleet that has come to rest and note what is found."""
    found.refused = fleet.book.refused
    found.calls_seen = len(fleet.provider.seen)
    accepted = fleet.book.accepted
    found.accepted = len(accepted)
    with fleet.gateway.context.database.read() as session:
        _all_ended(session, accepted, found)
        _every_call_is_recorded(session, fleet, found)
    _metrics_tell_what_the_provider_saw(fleet, found)
    _answers_are_true(fleet, accepted, found)
    _unsafe_requests_came_once(fleet, found)
    _lists_equal_those_of_a_calm_run(fleet, found)
    for name in (*LIMITED, GUEST):
        _windows_hold(fleet.provider.times(name), name, LIMIT, found)
    for lowered in fleet.changes.lowered:
        times = fleet.provider.times(lowered.provider)
        within = [at for at in times if lowered.since < at < lowered.until]
        _windows_hold(within, lowered.provider, lowered.limit, found)
    late = sorted(seconds for seconds in found.recoveries if seconds > RECOVERY_SECONDS)
    if late:
        found.breaks.append(f"orphans recovered too late: {late} s after their lease")


def _windows_hold(times: list[float], name: str, limit: int, found: Findings) -> None:
    above = windows_above(times, limit, PERIOD_SECONDS)
    found.windows_above += above
    if above:
        found.breaks.append(f"{above} windows of {name} hold more than {limit} calls")


def _all_ended(session: Session, accepted: Iterable[Accepted], found: Findings) -> None:
    jobs = {job.id: job for job in session.scalars(select(tables.Job))}
    for each in accepted:
        job = jobs.get(each.job)
        if job is None or not JobState(job.state).is_final:
            found.lost += 1
            state = job.state if job else "not in the ledger"
            found.breaks.append(f"accepted and not ended: {each} is {state}")
        else:
            code = (job.error or {}).get("code")
            found.ends[f"{job.state} ({code})" if code else job.state] += 1


def _answers_are_true(fleet: Fleet, accepted: Iterable[Accepted], found: Findings) -> None:
    """A request that is done was made, and has the provider's answer."""
    calls = {name: fleet.provider.calls_of(name) for name in ("requests", GUEST)}
    ids = [each.job for each in accepted]
    states = {status.id: status.state for status in _statuses(fleet, ids)}
    for each in accepted:
        if each.do == "sync" or states.get(each.job) != JobState.DONE:
            continue
        body = json.loads(fleet.gateway.answer(each.job).body)
        if not calls[each.provider][each.path] or body != {"path": each.path}:
            found.untrue += 1
            found.breaks.append(f"done without the provider's answer: {each}")


def _statuses(fleet: Fleet, ids: list[str]) -> Iterable[Any]:
    for start in range(0, len(ids), 500):
        yield from fleet.gateway.jobs.statuses(ids[start : start + 500])


def _unsafe_requests_came_once(fleet: Fleet, found: Findings) -> None:
    posts = Counter(seen.path for seen in fleet.provider.seen if seen.method == "POST")
    for path, times in posts.items():
        if times > 1:
            found.doubled += 1
            found.breaks.append(f"POST {path} was made {times} times")


def _lists_equal_those_of_a_calm_run(fleet: Fleet, found: Findings) -> None:
    """Rows and changes are those of a fleet that nothing has happened to."""
    gateway = fleet.gateway
    records, changes = {}, {}
    for name in ("calm", "lists"):
        stored = gateway.records(name, "orgs", include_deleted=True)
        records[name] = {(r.sourced_id, r.deleted_at is None, json.dumps(r.data)) for r in stored}
        feed = list(gateway.changes(name, "orgs"))
        changes[name] = Counter((change.operation, change.sourced_id) for change in feed)
        if [change.sequence for change in feed] != list(range(1, len(feed) + 1)):
            found.breaks.append(f"the changes of {name} are not numbered one by one")
    other = len(records["calm"] ^ records["lists"])
    more = (changes["lists"] - changes["calm"]).total()
    less = (changes["calm"] - changes["lists"]).total()
    found.doubled += more
    if other or more or less:
        found.breaks.append(
            f"after kills {other} rows differ, {more} changes are too many, {less} are missing"
        )


def _every_call_is_recorded(session: Session, fleet: Fleet, found: Findings) -> None:
    """What the provider saw is an attempt in the ledger, noted before the call."""
    query = (
        select(tables.Call.provider, tables.Call.start, tables.Job.idempotency_key)
        .join(tables.Attempt, tables.Attempt.call_id == tables.Call.id)
        .join(tables.Job, tables.Job.id == tables.Call.job_id)
        .where(was_sent())
        .execution_options(yield_per=1000)
    )
    attempts: Counter[tuple[str, str | int | None]] = Counter()
    for provider, start, path in session.execute(query):
        attempts[provider, path or start or 0] += 1
    seen: Counter[tuple[str, str | int | None]] = Counter(
        (each.name, each.path if each.offset is None else each.offset)
        for each in fleet.provider.seen
        if not each.is_control
    )
    unrecorded: Counter[Any] = seen - attempts
    # A control request is made within an attempt of whatever call: nobody can tell of which.
    controls = Counter(each.name for each in fleet.provider.seen if each.is_control)
    spare = Counter[str]()
    for (name, _), more in (attempts - seen).items():
        spare[name] += more
    unrecorded += controls - spare
    for what, more in unrecorded.items():
        found.unrecorded += more
        found.breaks.append(f"{more} calls of {what} are not in the ledger")


def _metrics_tell_what_the_provider_saw(fleet: Fleet, found: Findings) -> None:
    """Each request that the provider saw is counted once, or its worker was lost.

    A request whose connection was cut may have come or not, and so may that of a lost worker:
    these two results bound the difference.
    """
    context = fleet.gateway.context
    for _ in range(2):  # a sealer of the fleet may have been first
        sealer.seal(context.database, context.audit_keys, context.clock)
        while count_next(context.database):
            pass
    counted: dict[str, Counter[CallResult]] = {}
    with context.database.read() as session:
        for key, tally in rollups.ever(session):
            counted.setdefault(key.provider, Counter())[key.result] += tally.calls
    seen = Counter(each.name for each in fleet.provider.seen)
    for name in sorted(seen | Counter(dict.fromkeys(counted, 0))):
        results = counted.get(name, Counter())
        sent = sum(n for result, n in results.items() if result.was_sent)
        least = sent - results[CallResult.NO_RESPONSE]
        most = sent + results[CallResult.LOST]
        found.uncertain += most - least
        # Removing a provider cuts running calls of syncs short: nobody writes their outcome.
        if seen[name] < least or (seen[name] > most and name != GUEST):
            found.breaks.append(
                f"the provider saw {seen[name]} requests as {name}, and counted are {results}"
            )


class OrphanWatch:
    """Looks again and again for calls whose lease is over and that nobody has taken back."""

    def __init__(self) -> None:
        self._overdue: dict[tuple[int, int], float] = {}
        self._leases: dict[tuple[int, int], datetime] = {}

    def look(self, fleet: Fleet) -> None:
        """Note by how much each is overdue now."""
        running = select(tables.Call).where(tables.Call.state == CallState.RUNNING.value)
        now = fleet.gateway.context.clock.now()
        with fleet.gateway.context.database.read() as session:
            for call in session.scalars(running):
                assert call.lease_until is not None
                key = (call.id, call.attempt)
                self._leases[key] = call.lease_until
                self._overdue[key] = (now - call.lease_until).total_seconds()

    def seconds_since(self, start: datetime) -> list[float]:
        """Return by how much each was last seen overdue, of those whose lease ended since."""
        return [
            seconds
            for key, seconds in self._overdue.items()
            if seconds > 0 and self._leases[key] > start
        ]


def note_recoveries(fleet: Fleet, found: Findings, rest: datetime, since: datetime) -> None:
    """Note how long orphans waited after their lease until they were begun again or given up.

    Those whose lease ended after `since`, the last look; from `rest` on nothing was disturbed.
    """
    query = (
        select(tables.Attempt, tables.Call.ended_at)
        .join(tables.Call, tables.Call.id == tables.Attempt.call_id)
        .order_by(tables.Attempt.call_id, tables.Attempt.number)
    )
    with fleet.gateway.context.database.read() as session:
        rows = session.execute(query).all()
    for _, group in groupby(rows, key=lambda row: row.Attempt.call_id):
        attempts = list(group)
        nexts = [each.Attempt.started_at for each in attempts[1:]] + [attempts[-1].ended_at]
        for row, then in zip(attempts, nexts, strict=True):
            lease_until = row.Attempt.lease_until
            if row.Attempt.ended_at is not None or then is None or lease_until <= since:
                continue
            where = found.begun_again if lease_until > rest else found.begun_again_disturbed
            where.append((then - lease_until).total_seconds())
