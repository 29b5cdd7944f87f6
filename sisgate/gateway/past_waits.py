"""The waits of a job's calls, and whose fault each was, from what the ledger has recorded."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy.orm import Session

from sisgate.domain.links import Link
from sisgate.domain.past_waits import LEAST_SECONDS, BegunCall, Fault, PastFacts, Recorded, explain
from sisgate.domain.service_levels import down_spans
from sisgate.errors import UnknownProvider
from sisgate.gateway.core import Core
from sisgate.gateway.job_status import JobStatus
from sisgate.gateway.timeline_entry import TimelineEntry
from sisgate.ledger import breaker_changes, controls
from sisgate.ledger import timeline as ledger
from sisgate.ledger.schema import Call
from sisgate.ledger.timeline import Try

MOST_CONTACTS = 20_000

LOOK_BACK = timedelta(hours=1)
"""How long before the first wait pauses are looked for: the audit log has one index, by time."""

OURS = ("fleet", "redis", "database")
"""Culprits of alerts that are parts of the fleet."""

PROVIDER: tuple[Fault, str] = (
    "provider", "to be tried again, after the provider had failed or asked to wait",
)  # fmt: skip
OWN_OUTAGE: tuple[Fault, str] = "fleet", "to be tried again, after an outage of our own"
LOST: tuple[Fault, str] = "fleet", "for a worker, after one was lost"
QUEUED: tuple[Fault, str] = "fleet", "to be put into the provider's queue"

Calls = Sequence[tuple[Call, Sequence[Try]]]


class _Wait(NamedTuple):
    call: Call
    begin: datetime
    end: datetime
    otherwise: tuple[Fault, str] | None


def read_waits(
    core: Core, session: Session, status: JobStatus, calls: Calls
) -> Iterator[TimelineEntry]:
    """Yield the waits of the calls of a job."""
    waits = [
        wait
        for wait in _waits(calls)
        if (wait.end - wait.begin).total_seconds() >= LEAST_SECONDS
    ]  # fmt: skip
    if not waits:
        return
    begin, end = min(wait.begin for wait in waits), max(wait.end for wait in waits)
    facts = _facts(core, session, status.provider, begin, end)
    for wait in waits:
        what = f"call {wait.call.id} ({wait.call.purpose})"
        for part in explain(wait.begin, wait.end, wait.call.priority, facts, wait.otherwise):
            seconds = round((part.end - part.begin).total_seconds(), 3)
            text = f"{what} waited {part.text}"
            yield TimelineEntry(part.begin, text, "warn", wait.call.id, seconds, part.fault)


def _waits(calls: Calls) -> Iterator[_Wait]:
    own = [each for _, attempts in calls for each in attempts]
    for call, attempts in calls:
        if not attempts:
            continue
        since, first = call.planned_at, attempts[0].started_at
        if call.published_at is not None and since < call.published_at <= first:
            # While its job is at work a call may wait for that: few are queued at a time.
            if not any(e.started_at < call.published_at and since < _end(e) for e in own):
                yield _Wait(call, since, call.published_at, QUEUED)
            since = call.published_at
        yield _Wait(call, since, first, None)
        for before, after in pairwise(attempts):
            yield _Wait(call, _end(before), after.started_at, _after(before))


def _end(attempt: Try) -> datetime:
    return attempt.ended_at or attempt.lease_until


def _after(attempt: Try) -> tuple[Fault, str] | None:
    if attempt.unsent is Link.FLEET:
        return OWN_OUTAGE
    if attempt.ended_at is None:
        return LOST
    if attempt.status is not None and attempt.status < HTTPStatus.BAD_REQUEST:
        return None
    return PROVIDER


def _facts(core: Core, session: Session, name: str, begin: datetime, end: datetime) -> PastFacts:
    try:
        config = core.provider(name)
    except UnknownProvider:  # it was removed: what it was like is not known
        return PastFacts()
    control = controls.get(session, name)
    windows = controls.windows_of(control) or config.windows
    longest = max((rate.period_seconds for rate in windows), default=0.0)
    since = begin - timedelta(seconds=longest)
    contacts = ledger.contacts(session, name, since, end, MOST_CONTACTS)
    holds = list(_pauses(session, name, begin, end, contacts))
    urls = [endpoint.url for endpoint in config.endpoints]
    causes: tuple[tuple[Fault, bool], ...] = (("provider", False), ("person", True))
    for fault, by_hand in causes:
        what = "because its circuit breakers were open"
        changes = breaker_changes.before(session, end, name, by_hand=by_hand).get(name, ())
        words = f"{what}, set by hand" if by_hand else what
        holds += [Recorded(*down, fault, words) for down in down_spans(changes, urls, begin, end)]
    alerts = [
        Recorded(each.since, each.resolved_at or end, "fleet", each.message)
        for each in ledger.alerts_between(session, name, begin, end)
        if each.culprit.startswith(OURS)
    ]
    return PastFacts(contacts, holds, alerts, windows)


def _pauses(
    session: Session, name: str, begin: datetime, end: datetime, contacts: Sequence[BegunCall]
) -> Iterator[Recorded]:
    """Yield when a provider was paused by hand."""
    events = ledger.pauses(session, name, begin - LOOK_BACK, end)
    if events and events[0].action.endswith("resume"):
        resumed = events[0].at  # paused earlier: no call was made meanwhile
        since = max([begin, *(each.at for each in contacts if each.at < resumed)])
        if since < resumed:
            yield Recorded(since, resumed, "person", f"because {name} was paused by hand")
    ends = [*(each.at for each in events[1:]), end]
    for event, after in zip(events, ends, strict=False):
        if event.action.endswith("pause"):
            until = (event.detail or {}).get("until")
            last = min(after, datetime.fromisoformat(until)) if until else after
            reason = f" ({event.reason})" if event.reason else ""
            what = f"because {event.actor} had paused {name}{reason}"
            yield Recorded(event.at, last, "person", what)
