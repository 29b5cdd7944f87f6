"""What happened to a job, in order: its states, calls and tries, and who made it wait."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sisgate.domain.states import CallState
from sisgate.errors import AnswerInvalid, BrokerUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.job_status import JobStatus
from sisgate.gateway.past_waits import Calls, read_waits
from sisgate.gateway.timeline_entry import TimelineEntry, Tone
from sisgate.gateway.waiting import wait_of
from sisgate.ledger import timeline as ledger
from sisgate.ledger.schema import Call
from sisgate.ledger.timeline import Try

MOST_CALLS = 300
"""Calls of a job that are shown; a sync of a large dataset has thousands alike."""


@dataclass(frozen=True)
class Timeline:
    """The entries in order of time. `is_whole` is False if the job has more calls than shown."""

    entries: Sequence[TimelineEntry]
    is_whole: bool


def read_timeline(core: Core, status: JobStatus) -> Timeline:
    """Return what happened to a job that the caller may see."""
    with core.database.read() as session:
        calls = ledger.calls_with_tries(session, status.id, MOST_CALLS + 1)
        shown = calls[:MOST_CALLS]
        entries = [*_of_job(status), *(each for call in shown for each in _of_call(*call))]
        entries += read_waits(core, session, status, shown)
    entries += _wait_now(core, status, shown)
    # What happened at one moment stays in the order in which it is told.
    return Timeline(sorted(entries, key=lambda each: each.at), len(calls) <= MOST_CALLS)


def _of_job(status: JobStatus) -> Iterator[TimelineEntry]:
    yield TimelineEntry(status.accepted_at, f"accepted from {status.app}")
    if status.ended_at is not None:
        message = (status.error or {}).get("message") or status.note
        tones: dict[str, Tone] = {"done": "good", "failed": "bad", "cancelled": "plain"}
        text = f"{status.state.value}{f': {message}' if message else ''}"
        yield TimelineEntry(status.ended_at, text, tones.get(status.state.value, "warn"))


def _wait_now(core: Core, status: JobStatus, calls: Calls) -> Iterator[TimelineEntry]:
    """Yield what a live job waits for, in the words of its status."""
    wait = None
    with suppress(BrokerUnavailable):
        wait = wait_of(core, status)
    if wait is None:
        return
    queued = [call.published_at for call, tries in calls if not tries]
    ended = [each.ended_at for _, tries in calls for each in tries]
    since = max(at for at in (status.accepted_at, *queued, *ended) if at is not None)
    seconds = round((core.clock.now() - since).total_seconds(), 3)
    text = f"waits for {wait.explanation(status.provider)}"
    yield TimelineEntry(since, text, "warn", seconds=seconds, fault=wait.fault)


def _of_call(call: Call, tries: Sequence[Try]) -> Iterator[TimelineEntry]:
    what = f"call {call.id} ({call.purpose})"
    if call.published_at is not None and not tries:
        yield TimelineEntry(call.published_at, f"{what} queued", call=call.id)
    for each in tries:
        yield _of_try(what, call, each, is_last=each is tries[-1])


def _of_try(what: str, call: Call, one: Try, *, is_last: bool) -> TimelineEntry:
    number = f", try {one.number}" if one.number > 1 else ""
    if one.ended_at is None:
        return TimelineEntry(one.started_at, f"{what} under way{number}", "busy", call.id)
    is_good = one.status is not None and one.status < HTTPStatus.BAD_REQUEST
    met = _own_error(call, is_good) if is_last else None
    error = f": {met['message']}" if met else ""
    if one.unsent is not None:
        text = f"{what} could not be sent{number}{error or f': {one.unsent.words}'}"
        return TimelineEntry(one.started_at, text, "bad", call.id)
    took = (one.ended_at - one.started_at).total_seconds()
    answer = f"answered {one.status}" if one.status is not None else "got no answer"
    rows = f", {call.rows:,} rows" if is_last and call.rows else ""
    is_throttled = one.status == HTTPStatus.TOO_MANY_REQUESTS
    tone: Tone = "good" if is_good and not error else "warn" if is_throttled else "bad"
    text = f"{what} {answer} in {took:.2f} s{number}{rows}{error}"
    return TimelineEntry(one.started_at, text, tone, call.id)


def _own_error(call: Call, is_good: bool) -> Mapping[str, Any] | None:
    """Return the error of a call if its last try met it.

    A call that waits behind a probe keeps the one that it met before.
    """
    is_waiting = call.state in {CallState.PLANNED, CallState.QUEUED}
    is_own = not (is_good and is_waiting) or (call.error or {}).get("code") == AnswerInvalid.code
    return call.error if is_own else None
