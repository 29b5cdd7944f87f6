"""The quota of a simulated provider: a strict sliding window over arrivals."""

from __future__ import annotations

from collections import deque

from sisgate.domain.rates import Rate


class SlidingWindow:
    """At most `rate.calls` admitted arrivals in any half-open window of `rate.period_seconds`.

    An arrival at `t` is refused when the `rate.calls` latest counted ones all lie in
    `(t - period, t]`. Refused arrivals are counted to the window only with `count_refused`.
    A rate of None admits everything. Times are monotonic seconds and must not go back.

    >>> window = SlidingWindow(Rate(2, 10.0))
    >>> [window.arrive(t) for t in (0.0, 1.0, 9.9, 10.0)]
    [0.0, 0.0, 0.1, 0.0]
    """

    def __init__(self, rate: Rate | None, *, count_refused: bool = False) -> None:
        self.rate = rate
        self.count_refused = count_refused
        self._counted: deque[float] = deque()
        self._arrived: deque[float] = deque()
        self.arrivals = 0
        self.refused = 0
        self.max_in_window = 0

    def arrive(self, now: float) -> float:
        """Count one arrival. Return 0 if admitted, else the seconds until one would be."""
        self.arrivals += 1
        rate = self.rate
        if rate is None:
            return 0.0
        self._forget(now - rate.period_seconds)
        self._arrived.append(now)
        self.max_in_window = max(self.max_in_window, len(self._arrived))
        if len(self._counted) < rate.calls:
            self._counted.append(now)
            return 0.0
        self.refused += 1
        wait = self._counted[-rate.calls] + rate.period_seconds - now
        if self.count_refused:
            self._counted.append(now)
            wait = rate.period_seconds
        # Rounding hides float noise, but a refusal never says "now".
        return max(round(wait, 6), 0.000_001)

    def in_window(self, now: float) -> int:
        """Return how many counted arrivals lie in the window that ends now."""
        if self.rate is not None:
            self._forget(now - self.rate.period_seconds)
        return len(self._counted)

    def left(self, now: float) -> int | None:
        """Return how many calls would be admitted now; None without a quota."""
        return None if self.rate is None else max(0, self.rate.calls - self.in_window(now))

    def _forget(self, until: float) -> None:
        for times in (self._counted, self._arrived):
            while times and times[0] <= until:
                times.popleft()
