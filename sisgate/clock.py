"""Time is a value that is handed in: the one place that reads the machine's clocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What code that needs time is given."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from a fixed point that never go back, time asleep included.

        Processes of one machine count from the same point.
        """
        ...

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        ...


_COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux stops `CLOCK_MONOTONIC` while the machine is suspended; macOS has it go on."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the seconds since the machine started, those in which it was suspended too."""
        return time.clock_gettime(_COUNTS_SLEEP)

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to. For tests and for replaying decisions."""

    def __init__(self, start: datetime = datetime(2026, 9, 1, 8, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return the start plus all that has been advanced."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Advance by `seconds` at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        self._elapsed += seconds


def poll_until(
    ready: Callable[[], bool], *, clock: Clock, timeout_seconds: float, every_seconds: float = 0.05
) -> bool:
    """Call `ready` until it is true or `timeout_seconds` have passed; return whether it was."""
    deadline = clock.monotonic() + timeout_seconds
    while not ready():
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(every_seconds)
    return True
