"""The limits of one provider, as its configuration gives them. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from functools import cached_property
from types import MappingProxyType
from zoneinfo import ZoneInfo

from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.settings import ProviderConfig

DEFAULT_RESERVES: Mapping[Priority, float] = MappingProxyType(
    {Priority.URGENT: 0.0, Priority.HIGH: 0.02, Priority.NORMAL: 0.05, Priority.LOW: 0.10}
)

WEEKDAYS = frozenset(range(5))
"""Monday to Friday, as `datetime.weekday` numbers them."""


@dataclass(frozen=True, slots=True)
class ConcurrencyWindow:
    """`limit` calls at once from `start` to `end` of local time on `days`.

    `end` is not included. A window whose end is not after its start runs past midnight and belongs
    to the day on which it starts.
    """

    start: time
    end: time
    limit: int
    days: frozenset[int] = WEEKDAYS

    def holds(self, local: datetime) -> bool:
        """Return whether the window is in force at a local time."""
        moment, day = local.time(), local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= moment < self.end
        began_today = day in self.days and moment >= self.start
        began_yesterday = (day - 1) % 7 in self.days and moment < self.end
        return began_today or began_yesterday


@dataclass(frozen=True, slots=True)
class ConcurrencySchedule:
    """Windows in the time zone `zone` (IANA name); outside of them `otherwise` (None: no limit)."""

    zone: str
    windows: tuple[ConcurrencyWindow, ...]
    otherwise: int | None = None


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

    @classmethod
    def of(cls, config: ProviderConfig) -> LimitSpec:
        """Return a provider's limits; a permit that is never finished counts for a lease."""
        return cls(
            windows=config.windows,
            burst=config.burst,
            min_interval_seconds=config.min_interval_seconds,
            max_concurrency=config.max_concurrency or config.dialect_class.default_concurrency,
            lease_seconds=config.lease,
            arrival_bound_seconds=config.arrival_bound_seconds,
            schedule=_schedule(config),
        )

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


def concurrency_at(spec: LimitSpec, now: datetime) -> int | None:
    """Return how many calls may run at once at `now` (aware); None means any number.

    Of all windows in force and `max_concurrency` the smallest number counts.
    """
    limits: Sequence[int | None] = ()
    if spec.schedule is not None:
        local = now.astimezone(ZoneInfo(spec.schedule.zone))
        limits = [w.limit for w in spec.schedule.windows if w.holds(local)]
        limits = limits or [spec.schedule.otherwise]
    return min((n for n in (*limits, spec.max_concurrency) if n is not None), default=None)


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


def _schedule(config: ProviderConfig) -> ConcurrencySchedule | None:
    hours = config.school_hours
    if hours is None:
        return None
    window = ConcurrencyWindow(hours.start, hours.end, hours.max_concurrency, hours.days)
    return ConcurrencySchedule(hours.zone, (window,))
