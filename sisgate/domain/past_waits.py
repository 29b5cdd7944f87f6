"""Whose fault it was that a call waited, from what is recorded of that time. Pure.

What nothing recorded explains is `unknown`: a guess would blame somebody.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal, NamedTuple

from sisgate.domain.figures import counted
from sisgate.domain.rates import Rate

Fault = Literal["quota", "provider", "fleet", "person", "unknown"]
"""Who made a call wait: the quota with the calls before it, the provider, our fleet, a person."""

FULL = 0.9
"""The share of a window from which on it is taken for full: part of it is kept for the urgent."""

PACE = 0.5
"""The share of a limit at which calls were made, from which on the limit made the others wait."""

LEAST_SECONDS = 0.5
"""Shorter waits are not told."""


class BegunCall(NamedTuple):
    """A call that was begun at the provider, of any job."""

    at: datetime
    priority: int
    status: int | None


class Recorded(NamedTuple):
    """A time in which something held calls, or an alert fired, and what."""

    begin: datetime
    end: datetime
    fault: Fault
    what: str


@dataclass(frozen=True)
class PastFacts:
    """What is recorded of a provider around the waits.

    `contacts` are in order of time; those of the longest window before the first wait are among
    them. `holds` let no call pass. `alerts` name a culprit in the fleet. `windows` are the limits.
    """

    contacts: Sequence[BegunCall] = ()
    holds: Sequence[Recorded] = ()
    alerts: Sequence[Recorded] = ()
    windows: Sequence[Rate] = ()

    def begun_before(self, moment: datetime) -> int:
        """Return how many contacts were before a moment."""
        return bisect_left(self.contacts, moment, key=lambda each: each.at)


class PastWait(NamedTuple):
    """A part of a wait, and who is at fault for it."""

    begin: datetime
    end: datetime
    fault: Fault
    text: str


def explain(
    begin: datetime,
    end: datetime,
    priority: int,
    facts: PastFacts,
    otherwise: tuple[Fault, str] | None = None,
) -> Iterator[PastWait]:
    """Yield the parts of a wait, in order; those that are very short are left out.

    `otherwise` is why it waited where nothing held it; None for a wait for a permit.
    """
    at = begin
    for hold in sorted(facts.holds):
        since, until = max(at, hold.begin), min(end, hold.end)
        if (until - since).total_seconds() >= LEAST_SECONDS:
            yield from _rest(at, since, priority, facts, otherwise)
            yield PastWait(since, until, hold.fault, hold.what)
            at = until
    yield from _rest(at, end, priority, facts, otherwise)


def _rest(
    begin: datetime,
    end: datetime,
    priority: int,
    facts: PastFacts,
    otherwise: tuple[Fault, str] | None,
) -> Iterator[PastWait]:
    if (end - begin).total_seconds() < LEAST_SECONDS:
        return
    fault, text = otherwise or _why(begin, end, priority, facts)
    yield PastWait(begin, end, fault, text)


def _why(begin: datetime, end: datetime, priority: int, facts: PastFacts) -> tuple[Fault, str]:
    # Looked up, not walked through: there are thousands of them, and hundreds of waits.
    before = facts.begun_before(end)
    first = facts.contacts[facts.begun_before(begin) : before]
    if before and facts.contacts[before - 1].status == HTTPStatus.TOO_MANY_REQUESTS:
        return "provider", "because the provider had asked to wait"
    alert = next((e for e in facts.alerts if e.begin < end and begin < e.end), None)
    seconds, count = (end - begin).total_seconds(), len(first)
    pace = min((rate.per_second for rate in facts.windows), default=None)
    if any(_is_full(rate, end, facts) for rate in facts.windows) or (
        pace is not None and count >= pace * seconds * PACE and count
    ):
        urgent = sum(each.priority < priority for each in first)
        more = f", {urgent:,} of them more urgent" if urgent else ""
        went = f": {counted(count, 'call')} went first{more}" if count else ""
        return "quota", f"for its turn in the provider's quota{went}"
    if alert is not None:
        return alert.fault, f"while {alert.what}"
    if count and pace is None:
        return "fleet", f"for a free slot of a worker: {counted(count, 'call')} went first"
    return "unknown", "and nothing that was recorded says why"


def _is_full(rate: Rate, at: datetime, facts: PastFacts) -> bool:
    since = at - timedelta(seconds=rate.period_seconds)
    return facts.begun_before(at) - facts.begun_before(since) >= rate.calls * FULL
