"""What the limiter is asked, told and answers, as values. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, get_args

from sisgate.admission.schedule import ConcurrencySchedule
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate

Reason = Literal[
    "granted",
    "window",
    "bucket",
    "reserve",
    "interval",
    "concurrency",
    "blocked",
    "paused",
    "unknown",
    "off",
]
REASONS: tuple[Reason, ...] = get_args(Reason)

DEFAULT_RESERVES: Mapping[Priority, float] = MappingProxyType(
    {Priority.URGENT: 0.0, Priority.HIGH: 0.02, Priority.NORMAL: 0.05, Priority.LOW: 0.10}
)
OFF_PERMIT = "off"
"""The permit of a provider without limits: nothing is counted for it."""


@dataclass(frozen=True)
class LimitSpec:
    """The limits of one provider. `windows` hold all at once.

    `burst` is the capacity of the token bucket; None means a tenth of the slowest window's calls,
    at least ten. The bucket refills at that window's rate, so its first burst runs at full speed
    and the rest is spread evenly.

    `reserves` gives for each priority the share of every window, and of the bucket, that it may
    be made to leave to urgent and high work. Of the bucket it always leaves it: tokens that stand
    cost no throughput. Of a window it leaves what urgent and high took lately (fading with the
    period as time constant), at most its share and at least a standing part of 3 % of its share,
    at most 0.3 % of the limit. A window permit that stands idle is throughput lost, so a full
    standing reserve would waste its share for ever: this way low work alone uses at least 99.7 %,
    the first urgent calls find the standing part, the next get every slot that becomes free, and
    from then on the reserve has grown to what they need.

    `lease_seconds` bounds a call: a permit that is never finished counts until its lease ends,
    and the caller promises that the call has ended by then. `arrival_bound_seconds` is for
    providers slower than their window is long: None counts a call from its completion, which is
    as tight as can be while it may arrive at any time until it is answered; a number promises that
    the provider sees a call within so many seconds of its grant, however long it takes to answer.
    """

    windows: tuple[Rate, ...]
    burst: int | None = None
    min_interval_seconds: float = 0.0
    max_concurrency: int | None = None
    reserves: Mapping[Priority, float] = field(default_factory=lambda: DEFAULT_RESERVES, hash=False)
    lease_seconds: float = 120
    arrival_bound_seconds: float | None = None
    schedule: ConcurrencySchedule | None = None

    def __post_init__(self) -> None:
        if self.burst is not None and self.burst < 1:
            raise ValueError("burst is at least 1")
        if self.lease_seconds <= 0 or self.min_interval_seconds < 0:
            raise ValueError("lease_seconds is positive and min_interval_seconds not negative")
        if any(not 0 <= share < 1 for share in self.reserves.values()):
            raise ValueError("a reserve is a share from 0 up to, not including, 1")

    @cached_property
    def off(self) -> bool:
        """Whether there is nothing to limit."""
        return (
            not self.windows
            and not self.min_interval_seconds
            and self.max_concurrency is None
            and self.schedule is None
        )

    @cached_property
    def encoded(self) -> str:
        """The specification as the scripts read it, whatever `schedule` says."""
        return encode_spec(self, self.max_concurrency)

    @property
    def longest_period_seconds(self) -> float:
        """How far back calls matter: what `rebuild` needs of the ledger."""
        return max((rate.period_seconds for rate in self.windows), default=0.0)


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to an ask: `permits`, at most as many as wanted, or why none.

    `wait_seconds` is 0 when granted; else the earliest time at which a permit of this priority
    could exist as far as is known now. `factor` is the adaptive factor the answer was given under:
    what is learned from the call goes back with it (`Limiter.set_factor(…, was=factor)`).
    """

    permits: tuple[str, ...]
    wait_seconds: float
    reason: Reason
    factor: float = 1.0

    def __bool__(self) -> bool:
        return bool(self.permits)


@dataclass(frozen=True, slots=True)
class LedgerCall:
    """A call as the ledger knows it, for `rebuild`. `completed_at` None: running or crashed.

    With its permit a running call can still be finished after the rebuild and is then free in time;
    without, it counts to the end of its lease, and once more when it is finished.
    """

    started_at: datetime
    completed_at: datetime | None
    lease_until: datetime
    permit: str | None = None


@dataclass(frozen=True, slots=True)
class WindowState:
    """How much of one window is used; calls in flight count."""

    rate: Rate
    used: int

    @property
    def left(self) -> int:
        """Calls that the window still has."""
        return max(0, self.rate.calls - self.used)

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {"limit": str(self.rate), "used": self.used, "left": self.left}


@dataclass(frozen=True, slots=True)
class LimiterState:
    """What the limiter of one provider knows now. `known` is False until `rebuild`.

    `paused_until` is None when not paused, and `datetime.max` (UTC) for a pause without end.
    """

    provider: str
    known: bool
    epoch: str
    windows: tuple[WindowState, ...]
    tokens: float
    burst: int
    in_flight: int
    factor: float
    blocked_seconds: float
    block_reason: str
    paused_until: datetime | None
    overridden: bool
    limits_version: int
    next_permit_in_seconds: Mapping[Priority, float]
    waiting_for: Mapping[Priority, Reason]

    def next_permits(self) -> dict[str, float]:
        """Return in how many seconds the next permit can exist, by the word for the priority."""
        return {p.word: round(seconds, 3) for p, seconds in self.next_permit_in_seconds.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return what people are shown, JSON-ready."""
        return {
            "windows": [window.as_dict() for window in self.windows],
            "overridden": self.overridden,
            "factor": self.factor,
            "blocked_seconds": self.blocked_seconds,
            "paused_until": self.paused_until.isoformat() if self.paused_until else None,
            "next_permit_in_seconds": self.next_permits(),
        }


def encode_spec(spec: LimitSpec, concurrency: int | None) -> str:
    """Return the specification as the scripts read it: JSON, times in milliseconds."""
    return json.dumps(
        {
            "windows": window_pairs(spec.windows),
            "burst": spec.burst or 0,
            "interval": spec.min_interval_seconds * 1000,
            "concurrency": -1 if concurrency is None else concurrency,
            "reserves": {str(int(p)): share for p, share in spec.reserves.items()},
            "lease": spec.lease_seconds * 1000,
            "arrival": (spec.arrival_bound_seconds or 0) * 1000,
        },
        separators=(",", ":"),
    )


def window_pairs(windows: tuple[Rate, ...]) -> list[tuple[int, float]]:
    """Return each window as its calls and its period in milliseconds."""
    return [(rate.calls, rate.period_seconds * 1000) for rate in windows]
