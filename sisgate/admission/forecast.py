"""When will calls be granted? Pure: from the state of limiter and backlog to times.

This simulates the limiter's rules: the bucket fills, slots of the windows become free one period
after the calls that hold them, and each granted call holds its slot for its latency plus a period.
It ignores what cannot be known: 429s, outages, work that arrives later.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sisgate.admission.spec import DEFAULT_RESERVES
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate

MOST_PLAYED = 20_000
"""Grants simulated one by one; beyond that the windows' pace is extrapolated."""


@dataclass(frozen=True)
class Outlook:
    """What grants depend on. Times are seconds from now; negative ones have passed.

    `ended_at` are the completions of the calls that the windows still count; running calls are
    assumed to end after `latency_seconds`. `held_seconds` is how long nothing is granted at all
    (blocked, paused). `pace` is the bucket's refill in tokens a second, including the factor.
    """

    windows: Sequence[Rate]
    ended_at: Sequence[float]
    tokens: float
    burst: int
    pace: float
    held_seconds: float = 0.0
    latency_seconds: float = 0.0
    min_interval_seconds: float = 0.0


@dataclass
class _Window:
    rate: Rate
    free_at: deque[float] = field(default_factory=deque)

    def earliest(self) -> float:
        return self.free_at[0] if len(self.free_at) >= self.rate.calls else 0.0

    def grant(self, at: float, latency: float) -> None:
        if len(self.free_at) >= self.rate.calls:
            self.free_at.popleft()
        self.free_at.append(at + latency + self.rate.period_seconds)


class _Bucket:
    """The token bucket, as `lua/rules.lua` fills it."""

    def __init__(self, outlook: Outlook) -> None:
        self._tokens, self._filled_at = outlook.tokens, 0.0
        self._burst, self._pace = float(outlook.burst), outlook.pace
        # While a window is full the bucket is capped, or each burst would recur a period later.
        low_reserve = math.floor(DEFAULT_RESERVES[Priority.LOW] * outlook.burst)
        self._full_cap = min(self._burst, low_reserve + 2 + outlook.pace * 0.05)

    def _fill(self, at: float, cap: float) -> None:
        gained = max(0.0, at - self._filled_at) * self._pace
        self._tokens = max(min(self._tokens, cap), min(cap, self._tokens + gained))
        self._filled_at = max(at, self._filled_at)

    def wait_for_window(self, since: float, until: float) -> None:
        """Refill while a window is full."""
        self._fill(since, self._burst)
        self._fill(until, self._full_cap)

    def take(self, at: float) -> float:
        """Take a token at `at`, or as soon afterwards as there is one; return when."""
        self._fill(at, self._burst)
        if self._tokens < 1:
            at += (1 - self._tokens) / self._pace
            self._fill(at, self._burst)
        self._tokens -= 1
        return at


def grant_times(outlook: Outlook) -> Iterator[float]:
    """Yield the times of the next grants, without end.

    >>> calm = Outlook([Rate(2, 10.0)], [], tokens=2, burst=2, pace=0.2)
    >>> times = grant_times(calm)
    >>> [next(times) for _ in range(4)]
    [0.0, 0.0, 10.0, 10.0]
    """
    windows = [_Window(rate) for rate in outlook.windows]
    for window in windows:
        busy = sorted(end + window.rate.period_seconds for end in outlook.ended_at)
        window.free_at.extend(moment for moment in busy if moment > 0)
        while len(window.free_at) > window.rate.calls:
            window.free_at.popleft()
    bucket = _Bucket(outlook)
    now = outlook.held_seconds
    while True:
        at = max([now, *(window.earliest() for window in windows)])
        if at > now:
            bucket.wait_for_window(now, at)
        if windows:
            at = bucket.take(at)
        for window in windows:
            window.grant(at, outlook.latency_seconds)
        yield at
        now = at + outlook.min_interval_seconds


def nth_grant(outlook: Outlook, n: int) -> float:
    """Return the time of the n-th grant from now (from 1), in seconds."""
    (at,) = nth_grants(outlook, [n])
    return at


def nth_grants(outlook: Outlook, numbers: Sequence[int]) -> list[float]:
    """Return the times of several grants, whose numbers ascend."""
    played, at, found = 0, 0.0, []
    times = grant_times(outlook)
    for n in numbers:
        for _ in range(min(n, MOST_PLAYED) - played):
            at = next(times)
        played = max(played, min(n, MOST_PLAYED))
        beyond = max(0, n - MOST_PLAYED) if outlook.windows else 0
        found.append(at + beyond / min((r.per_second for r in outlook.windows), default=1.0))
    return found


def calls_ahead(mine: int, higher: Sequence[int], equal: Sequence[int]) -> int:
    """Return how many calls of others are granted before my `mine`-th call.

    All of higher priority go first. Jobs of the same priority take turns, so each of them has been
    granted about as many calls as I, as long as it has any.

    >>> calls_ahead(10, higher=[5], equal=[3, 1000])
    18
    """
    return sum(higher) + sum(min(mine, remaining) for remaining in equal)
