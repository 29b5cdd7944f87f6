"""How often a caller may ask the HTTP service, counted in each process."""

from __future__ import annotations

import math

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from sisgate.clock import SystemClock
from sisgate.domain.rates import Rate
from sisgate.errors import TooManyRequests


class InboundLimits:
    """Counts of requests in sliding windows."""

    def __init__(self) -> None:
        self._counters = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._clock = SystemClock()  # the one that `limits` counts by

    def count(self, rate: Rate, name: str) -> list[tuple[bytes, bytes]]:
        """Count one request; return the RateLimit headers. Raises `TooManyRequests`.

        The headers are those of draft-ietf-httpapi-ratelimit-headers-11 (read 2026-11-29).
        """
        item = _item(rate)
        is_within = self._counters.hit(item, name)
        reset_at, left = self._counters.get_window_stats(item, name)
        seconds = self._seconds_to(reset_at, rate)
        if not is_within:
            raise _too_many(rate, seconds)
        policy = f'"default";q={rate.calls};w={math.ceil(rate.period_seconds)}'
        state = f'"default";r={max(0, left)};t={seconds}'
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]

    def refuse_if_spent(self, rate: Rate, name: str) -> None:
        """Raise `TooManyRequests` if nothing is left, without counting."""
        item = _item(rate)
        if not self._counters.test(item, name):
            reset_at, _ = self._counters.get_window_stats(item, name)
            raise _too_many(rate, self._seconds_to(reset_at, rate))

    def note(self, rate: Rate, name: str) -> None:
        """Count one."""
        self._counters.hit(_item(rate), name)

    def _seconds_to(self, reset_at: float, rate: Rate) -> int:
        left = math.ceil(reset_at - self._clock.now().timestamp())
        return max(1, min(left, math.ceil(rate.period_seconds)))


class FailedLogins:
    """Logins without a valid token, by address. Each is audited, so there must be an end."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._limits = InboundLimits()

    def refuse_if_spent(self, client: str) -> None:
        """Raise `TooManyRequests` if an address has failed too often."""
        self._limits.refuse_if_spent(self._rate, client)

    def note(self, client: str) -> None:
        """Count one."""
        self._limits.note(self._rate, client)


def _item(rate: Rate) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(rate.calls, max(1, math.ceil(rate.period_seconds)))


def _too_many(rate: Rate, seconds: int) -> TooManyRequests:
    return TooManyRequests(
        f"More than {rate} requests: the service takes the next one in {seconds} s.",
        seconds=seconds,
    )
