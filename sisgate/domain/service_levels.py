"""Measuring objectives: how much of what was allowed to be bad was bad. Pure.

An objective asks for a share of good events, or of good time. What it leaves is the error budget:
that of the whole span, also where only its end is known. The burn rate tells how fast it is used:
at 1 it lasts exactly for the window (Google, The Site Reliability Workbook, chapter 5, 2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sisgate.domain.figures import duration
from sisgate.domain.school_time import Span


class ObjectiveKind(StrEnum):
    """What an objective is about."""

    AVAILABILITY = "availability"
    LATENCY_P95 = "latency_p95"
    LATENCY_P99 = "latency_p99"
    FRESHNESS = "freshness"


@dataclass(frozen=True)
class Measurement:
    """One objective, measured over a window.

    `target` is the share that must be good, and `bound_seconds` what good means for latency and
    freshness. `total` and `bad` are calls, or seconds; without any `total` nothing is known.
    `observed_seconds` is the latency that the same share of calls did not exceed. `known_share` is
    the share of the span that was measured: less than 1 of one that began before there were calls.
    """

    kind: ObjectiveKind
    resource: str | None
    target: float
    bound_seconds: float | None
    total: float
    bad: float
    observed_seconds: float | None = None
    known_share: float = 1.0

    @property
    def objective(self) -> str:
        """What it asks for, in words.

        >>> Measurement(ObjectiveKind.LATENCY_P95, None, 0.95, 0.4, 0, 0).objective
        'latency p95 ≤ 0.4 s'
        """
        words = self.kind.value.replace("_", " ")
        bound = self.bound_seconds
        return words if bound is None else f"{words} ≤ {duration(bound)}"

    @property
    def good_share(self) -> float | None:
        """The share that was good, None if nothing is known."""
        return 1 - self.bad / self.total if self.total else None

    @property
    def is_partial(self) -> bool:
        """Whether much less than the span was measured."""
        return bool(self.total) and self.known_share < 0.95

    @property
    def is_met(self) -> bool | None:
        """Whether no more was bad than the span allows, None if nothing is known."""
        return None if self.burn_rate is None else self.burn_rate <= 1

    @property
    def burn_rate(self) -> float | None:
        """How many times too fast the error budget is used, None if nothing is known.

        >>> Measurement(ObjectiveKind.AVAILABILITY, None, 0.99, None, 1000, 20).burn_rate
        2.0
        >>> Measurement(
        ...     ObjectiveKind.AVAILABILITY, None, 0.99, None, 1000, 20, known_share=0.5
        ... ).burn_rate
        1.0
        """
        if not self.total:
            return None
        # As many calls as were measured are expected of the rest of the span.
        expected = self.total / self.known_share
        return round(self.bad / expected / (1 - self.target), 6)

    @property
    def budget_left(self) -> float | None:
        """The share of the error budget that is left; below 0 it is overdrawn."""
        return None if self.burn_rate is None else round(1 - self.burn_rate, 6)

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "objective": self.kind.value,
            "resource": self.resource,
            "target": self.target,
            "bound_seconds": self.bound_seconds,
            "total": round(self.total, 3),
            "bad": round(self.bad, 3),
            "good_share": self.good_share,
            "observed_seconds": self.observed_seconds,
            "known_share": round(self.known_share, 6),
            "is_met": self.is_met,
            "burn_rate": self.burn_rate,
            "budget_left": self.budget_left,
        }


@dataclass(frozen=True)
class ReadTimes:
    """When a dataset was first and last read; `pauses` are from one read to the next, ascending.

    Pauses that are too short for any bound are left out.
    """

    first: datetime
    last: datetime
    pauses: Sequence[Span] = ()

    def followed_by(self, later: ReadTimes, bound: timedelta) -> ReadTimes:
        """Return these and those that came after them, with the pauses of `bound` and longer."""
        between = (self.last, later.first)
        pauses = [each for each in (between, *later.pauses) if each[1] - each[0] >= bound]
        return ReadTimes(self.first, later.last, [*self.pauses, *pauses])


def stale_spans(
    read: ReadTimes, bound: timedelta, since: datetime, until: datetime
) -> Iterator[Span]:
    """Yield when a dataset was older than `bound`, oldest first.

    >>> day = datetime(2026, 9, 1)
    >>> first, second, last = (day + timedelta(hours=hours) for hours in (0, 4, 12))
    >>> read = ReadTimes(first, last, [(second, last)])
    >>> stale = stale_spans(read, timedelta(hours=4), day, day + timedelta(hours=14))
    >>> [(begin.hour, end.hour) for begin, end in stale]
    [(8, 12)]
    """
    for at, following in (*read.pauses, (read.last, until)):
        yield from _within(at + bound, following, since, until)


@dataclass(frozen=True)
class StateChange:
    """The state of an endpoint's breaker from `at` on; `is_down`: it takes no calls."""

    at: datetime
    endpoint: str
    is_down: bool


def down_spans(
    changes: Iterable[StateChange], endpoints: Sequence[str], since: datetime, until: datetime
) -> Iterator[Span]:
    """Yield when none of the endpoints took calls, oldest first. `changes` are in order."""
    down: set[str] = set()
    began: datetime | None = None
    for change in changes:
        if change.at >= until:
            break
        if change.endpoint in endpoints:
            (down.add if change.is_down else down.discard)(change.endpoint)
        is_down = len(down) == len(endpoints) > 0
        if is_down and began is None:
            began = change.at
        elif not is_down and began is not None:
            yield from _within(began, change.at, since, until)
            began = None
    if began is not None:
        yield from _within(began, until, since, until)


def _within(begin: datetime, end: datetime, since: datetime, until: datetime) -> Iterator[Span]:
    begin, end = max(begin, since), min(end, until)
    if begin < end:
        yield begin, end
