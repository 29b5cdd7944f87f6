"""How often a caller may ask the HTTP service, and how often logins may fail."""

import math
from collections.abc import Iterator
from dataclasses import replace

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter

from sisgate.clock import SystemClock
from sisgate.domain.rates import Rate
from sisgate.errors import BrokerUnavailable, TooManyRequests
from sisgate.gateway import Gateway
from sisgate.gateway.inbound import shared_counters

AWAY_SECONDS = 5.0
"""How long a process counts by itself before it asks again for a Redis that was away."""

ID_ENDS = len("sisgate_") + 10
"""The characters of a token that name it, and are no secret."""

CLOCK = SystemClock()
"""The one that `limits` counts by."""

Headers = list[tuple[bytes, bytes]]


class InboundLimits:
    """Counts the requests of callers in sliding windows, for all processes of the service.

    While Redis is away each process counts its own.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._shared = shared_counters(gateway)
        self._clock = gateway.context.clock
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._away_until = -math.inf

    def count(self, rate: Rate, name: str) -> Headers:
        """Count one request; return the RateLimit headers. Raises `TooManyRequests`. Blocks.

        The headers are those of draft-ietf-httpapi-ratelimit-headers-11 (read 2026-11-29).
        """
        if CLOCK.monotonic() >= self._away_until:
            try:
                return self._counted(rate, name)
            except BrokerUnavailable:
                self._away_until = CLOCK.monotonic() + AWAY_SECONDS
        return _counted(self._own, rate, name)

    def _counted(self, rate: Rate, name: str) -> Headers:
        try:
            return _counted(self._shared, rate, name)
        except TooManyRequests:
            self._shared.note_refusal(name, str(rate), self._clock.now())
            raise


class FailedLogins:
    """Logins without a valid token, by address and token, in this process.

    Each is audited, so there must be an end. Behind a proxy that is not trusted all have one
    address: there one wrong token stops nobody else, until they are `MANY` times as often wrong.
    """

    MANY = 10

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._counters = SlidingWindowCounterRateLimiter(MemoryStorage())

    def refuse_if_spent(self, client: str, token: str | None) -> None:
        """Raise `TooManyRequests` if an address has failed too often."""
        for item, name in self._counted(client, token):
            if not self._counters.test(item, name):
                reset_at, _ = self._counters.get_window_stats(item, name)
                raise _too_many(self._rate, _seconds_to(reset_at, self._rate))

    def note(self, client: str, token: str | None) -> None:
        """Count one."""
        for item, name in self._counted(client, token):
            self._counters.hit(item, name)

    def _counted(
        self, client: str, token: str | None
    ) -> Iterator[tuple[RateLimitItemPerSecond, str]]:
        yield _item(self._rate), f"{client} {(token or '')[:ID_ENDS]}"
        yield _item(replace(self._rate, calls=self._rate.calls * self.MANY)), client


def _counted(counters: RateLimiter, rate: Rate, name: str) -> Headers:
    item = _item(rate)
    is_within = counters.hit(item, name)
    reset_at, left = counters.get_window_stats(item, name)
    seconds = _seconds_to(reset_at, rate)
    if not is_within:
        raise _too_many(rate, seconds)
    policy = f'"default";q={rate.calls};w={math.ceil(rate.period_seconds)}'
    state = f'"default";r={max(0, left)};t={seconds}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]


def _seconds_to(reset_at: float, rate: Rate) -> int:
    left = math.ceil(reset_at - CLOCK.now().timestamp())
    return max(1, min(left, math.ceil(rate.period_seconds)))


def _item(rate: Rate) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(rate.calls, max(1, math.ceil(rate.period_seconds)))


def _too_many(rate: Rate, seconds: int) -> TooManyRequests:
    return TooManyRequests(
        f"More than {rate} requests: the service takes the next one in {seconds} s.",
        seconds=seconds,
    )
