"""How many calls may run at once, by the local time of the school. Pure.

Infinite Campus asks for serial requests in school hours and at most five at once otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Protocol
from zoneinfo import ZoneInfo

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


class Scheduled(Protocol):
    """What has a concurrency: a `LimitSpec`."""

    @property
    def max_concurrency(self) -> int | None:
        """The limit at any time."""
        ...

    @property
    def schedule(self) -> ConcurrencySchedule | None:
        """The limit by local time."""
        ...


def concurrency_at(spec: Scheduled, now: datetime) -> int | None:
    """Return how many calls may run at once at `now` (aware); None means any number.

    Of all windows in force and `max_concurrency` the smallest number counts.
    """
    limits: Sequence[int | None] = ()
    if spec.schedule is not None:
        local = now.astimezone(ZoneInfo(spec.schedule.zone))
        limits = [w.limit for w in spec.schedule.windows if w.holds(local)]
        limits = limits or [spec.schedule.otherwise]
    return min((n for n in (*limits, spec.max_concurrency) if n is not None), default=None)
