"""What happened to a job, in order: its states, calls and attempts, and who made it wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from sisgate.gateway.core import Core
from sisgate.gateway.job_status import JobStatus
from sisgate.gateway.past_waits import read_waits
from sisgate.gateway.timeline_entry import TimelineEntry, Tone
from sisgate.ledger import timeline as ledger
from sisgate.ledger.schema import Attempt, Call

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
        calls = ledger.calls_with_attempts(session, status.id, MOST_CALLS + 1)
        shown = calls[:MOST_CALLS]
        entries = [*_of_job(status), *(each for call in shown for each in _of_call(*call))]
        entries += read_waits(core, session, status, shown)
    # What happened at one moment stays in the order in which it is told.
    return Timeline(sorted(entries, key=lambda each: each.at), len(calls) <= MOST_CALLS)


def _of_job(status: JobStatus) -> Iterator[TimelineEntry]:
    yield TimelineEntry(status.accepted_at, f"accepted from {status.app}")
    if status.ended_at is not None:
        message = (status.error or {}).get("message") or status.note
        tones: dict[str, Tone] = {"done": "good", "failed": "bad", "cancelled": "plain"}
        text = f"{status.state.value}{f': {message}' if message else ''}"
        yield TimelineEntry(status.ended_at, text, tones.get(status.state.value, "warn"))


def _of_call(call: Call, attempts: Sequence[Attempt]) -> Iterator[TimelineEntry]:
    what = f"call {call.id} ({call.purpose})"
    if call.published_at is not None and not attempts:
        yield TimelineEntry(call.published_at, f"{what} queued", call=call.id)
    for attempt in attempts:
        yield from _of_attempt(what, call, attempt, is_last=attempt is attempts[-1])


def _of_attempt(
    what: str, call: Call, attempt: Attempt, *, is_last: bool
) -> Iterator[TimelineEntry]:
    end = attempt.ended_at
    tries = f", try {attempt.number}" if attempt.number > 1 else ""
    if end is None:
        yield TimelineEntry(attempt.started_at, f"{what} under way{tries}", "busy", call.id)
        return
    took = (end - attempt.started_at).total_seconds()
    answer = f"answered {attempt.status}" if attempt.status is not None else "got no answer"
    rows = f", {call.rows:,} rows" if is_last and call.rows else ""
    error = f": {call.error['message']}" if is_last and call.error else ""
    is_good = attempt.status is not None and attempt.status < HTTPStatus.BAD_REQUEST
    is_throttled = attempt.status == HTTPStatus.TOO_MANY_REQUESTS
    tone: Tone = "good" if is_good and not error else "warn" if is_throttled else "bad"
    text = f"{what} {answer} in {took:.2f} s{tries}{rows}{error}"
    yield TimelineEntry(attempt.started_at, text, tone, call.id)
