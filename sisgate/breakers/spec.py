"""When breakers open and close, and the values they return. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from sisgate.settings import ProviderConfig

WINDOW_BUCKETS = 10
"""Parts of the sliding window: counts leave it one part at a time."""


class State(StrEnum):
    """The states of a breaker, with pybreaker's names."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True)
class BreakerSpec:
    """When the breakers of a provider open and close.

    A breaker opens on `fail_max` failures in a row, or when at least `minimum_calls` were counted
    over the last `window_seconds` and the share of failures among them is at least
    `failure_rate`, or the share of calls of `slow_seconds` or more, successful or not, at least
    `slow_rate` (resilience4j's rule for time-based windows, and its defaults for slow calls,
    https://resilience4j.readme.io/docs/circuitbreaker). The window consists of `WINDOW_BUCKETS`
    parts, so it reaches back between nine tenths of `window_seconds` and all of it.

    The n-th opening in a row lasts `open_seconds * 2 ** (n - 1)`, at most `open_cap_seconds`, less
    a random part of up to `jitter` of it. Openings count in a row until the breaker has stayed
    closed for `healthy_seconds`. Afterwards the breaker is half-open: calls pass one at a time in
    the whole fleet. `success_threshold` successes close it; a failure or a slow call opens it
    again. A probe whose outcome is never reported blocks the next one for `probe_lease_seconds`,
    which is therefore longer than any call.
    """

    fail_max: int = 5
    failure_rate: float = 0.5
    slow_rate: float = 1.0
    slow_seconds: float = 60.0
    window_seconds: float = 60.0
    minimum_calls: int = 10
    open_seconds: float = 30.0
    open_cap_seconds: float = 600.0
    jitter: float = 0.2
    healthy_seconds: float = 600.0
    success_threshold: int = 2
    probe_lease_seconds: float = 120.0

    def __post_init__(self) -> None:
        if min(self.fail_max, self.minimum_calls, self.success_threshold) < 1:
            raise ValueError("fail_max, minimum_calls and success_threshold are at least 1")
        if not (0 < self.failure_rate <= 1 and 0 < self.slow_rate <= 1):
            raise ValueError("a rate is a share above 0, at most 1")
        if not 0 <= self.jitter < 1:
            raise ValueError("jitter is a share from 0 up to, not including, 1")
        spans = (self.slow_seconds, self.window_seconds, self.open_seconds)
        if min(*spans, self.probe_lease_seconds) <= 0 or self.healthy_seconds < 0:
            raise ValueError("times are positive")
        if self.open_cap_seconds < self.open_seconds:
            raise ValueError("open_cap_seconds is at least open_seconds")

    @classmethod
    def of(cls, config: ProviderConfig) -> BreakerSpec:
        """Return the specification of a provider; a call, and so a probe, ends within its lease."""
        return cls(probe_lease_seconds=config.lease, **config.breaker.model_dump())

    @property
    def bucket_ms(self) -> int:
        """The length of a part of the window."""
        return max(1, round(self.window_seconds * 1000 / WINDOW_BUCKETS))

    @cached_property
    def encoded(self) -> str:
        """The specification as the scripts read it: JSON, times in milliseconds."""
        return json.dumps(
            {
                "fail_max": self.fail_max,
                "failure_rate": self.failure_rate,
                "slow_rate": self.slow_rate,
                "slow": self.slow_seconds * 1000,
                "bucket": self.bucket_ms,
                "buckets": WINDOW_BUCKETS,
                "minimum_calls": self.minimum_calls,
                "open": self.open_seconds * 1000,
                "open_cap": self.open_cap_seconds * 1000,
                "jitter": self.jitter,
                "healthy": self.healthy_seconds * 1000,
                "success_threshold": self.success_threshold,
                "probe_lease": round(self.probe_lease_seconds * 1000),
            },
            separators=(",", ":"),
        )


@dataclass(frozen=True, slots=True)
class BreakerToken:
    """Identifies a call that a breaker let pass, in the report of its outcome.

    `generation` grows with each change of the breaker; the outcome of a call of an earlier one is
    ignored. `probe` numbers the probes of a half-open breaker; 0 is an ordinary call.
    """

    generation: int
    probe: int = 0


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a breaker. `before` equals `after` if only a pin was set or removed."""

    before: State
    after: State
    reason: str


@dataclass(frozen=True, slots=True)
class BreakerView:
    """The state of one breaker.

    `wait_seconds` is 0 when a call would pass now, and infinite when only an operator can change
    that. `pinned_until` is None for a pin without end. `changed_at` is when state or pin last
    changed, None for never. `closed_seconds` is how long it has been closed, None if it was never
    open. Calls, failures and slow calls are those of the window.
    """

    endpoint: str
    state: State
    wait_seconds: float
    generation: int
    failures_in_a_row: int
    openings: int
    calls: int
    failures: int
    slow: int
    pinned: bool
    pinned_until: datetime | None
    changed_at: datetime | None
    closed_seconds: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return what is shown to people, JSON-ready."""
        endless = self.wait_seconds == float("inf")
        return {
            "endpoint": self.endpoint,
            "state": self.state.value,
            "wait_seconds": None if endless else round(self.wait_seconds, 3),
            "since": self.changed_at.isoformat() if self.changed_at else None,
            "pinned": self.pinned,
            "pinned_until": self.pinned_until.isoformat() if self.pinned_until else None,
            "calls": self.calls,
            "failures": self.failures,
            "slow": self.slow,
            "failures_in_a_row": self.failures_in_a_row,
            "openings": self.openings,
        }
