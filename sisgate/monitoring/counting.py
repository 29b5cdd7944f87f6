"""Counting calls into rollups, from the events of their ends in the sealed audit log.

The progress and what was counted are one transaction, and the progress moves from a known seal to a
later one. So each call is counted exactly once, however many count and whenever they are killed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sisgate.domain.call_results import STAGES, CallResult, CallTally, result_of
from sisgate.domain.latencies import LatencySketch
from sisgate.domain.periods import Period
from sisgate.domain.timings import TOLD_BY_EVENTS, Timed
from sisgate.ledger import error_patterns, rollups, timings
from sisgate.ledger.call_outcomes import EndedCall, JobAcceptance, counted_events, sealed_after
from sisgate.ledger.database import Database
from sisgate.ledger.rollups import Moment, TallyKey

EVENTS_AT_ONCE = 5000
"""Events of one transaction: some tens of milliseconds, most of them before its lock is taken."""


def count_next(database: Database) -> bool:
    """Count calls that were sealed since the last time; return whether there were any seals.

    Also True if another process has counted them meanwhile.
    """
    with database.read() as session:
        progress = rollups.progress(session)
        was = progress.seal if progress is not None else 0
        span = sealed_after(session, was, EVENTS_AT_ONCE)
        if span is None:
            return False
        ended, accepted = counted_events(session, span)
        counted, met = tallied(ended), error_patterns.errors_among(session, ended)
        took = timed(ended, accepted)
    with database.write() as session:
        if rollups.advance(session, was=was, seal=span.last, counted_to=span.at):
            rollups.add(session, counted)
            error_patterns.add(session, met)
            timings.add(session, took)
    return True


def tallied(ended: Iterable[EndedCall]) -> Mapping[Moment, CallTally]:
    """Return the tallies of ended calls by minute."""
    tallies: dict[Moment, CallTally] = {}
    for at, provider, detail, *_ in ended:
        counted = TallyKey(
            provider,
            str(detail.get("endpoint", "")),
            _result(detail),
            int(detail.get("priority", 0)),
            str(detail.get("resource", "")),
        )
        tally = tallies.setdefault((Period.MINUTE.begin_of(at), counted), CallTally())
        times = detail.get("ms") or {}
        tally.add(int(detail.get("rows", 0)), {s: times[s] for s in STAGES if s in times})
    return tallies


def timed(
    ended: Iterable[EndedCall], accepted: Iterable[JobAcceptance]
) -> Mapping[tuple[Timed, str], LatencySketch]:
    """Return what else the events tell the duration of."""
    sketches: dict[tuple[Timed, str], LatencySketch] = {}
    events = [(each.provider, each.detail) for each in ended]
    events += [(each.provider, each.detail) for each in accepted]
    for provider, detail in events:
        told = detail.get("ms") or {}
        for name in TOLD_BY_EVENTS:
            if name in told:
                label = provider if name.is_of_provider else ""
                sketches.setdefault((name, label), LatencySketch()).add(told[name])
    return sketches


def _result(detail: Mapping[str, Any]) -> CallResult:
    status = detail.get("status")
    outcome, error = str(detail.get("outcome")), detail.get("error")
    # Events of former versions do not tell whether the request was sent.
    was_sent = detail.get("sent", outcome != "not made")
    return result_of(status, outcome=outcome, error=error, was_sent=was_sent)
