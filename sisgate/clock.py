"""The only module that reads the machine's clocks; other code is passed a `Clock`."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What code that needs time takes as an argument."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since a fixed point; never goes back and counts time asleep.

        Processes of one machine count from the same point.
        """
        ...

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        ...


READ_EVERY_SECONDS = 30.0
"""How often the clock of the reference is read."""

RETRY_SECONDS = 2.0
"""How soon a reference that was never reached is tried again."""

SLOW_SECONDS = 1.0
"""A reading that took longer is too imprecise."""

STEP_SECONDS = 1.0
"""How far the machine's two clocks may drift apart between two readings."""

_COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux stops `CLOCK_MONOTONIC` while the machine is suspended; macOS keeps it running."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the seconds since the machine started, including time suspended."""
        return time.clock_gettime(_COUNTS_SLEEP)

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        time.sleep(seconds)


def thread_seconds() -> float:
    """Return the processor time that this thread has taken so far."""
    return time.thread_time()


@dataclass(frozen=True)
class _Reading:
    """The time of the reference, and of this machine's clocks at that moment."""

    theirs: datetime
    monotonic: float
    wall: datetime

    def at(self, monotonic: float) -> datetime:
        """Return the time of the reference at a time of the monotonic clock."""
        return self.theirs + timedelta(seconds=monotonic - self.monotonic)


class ReferenceClock:
    """The clock of one server, extrapolated between readings by this machine's monotonic clock.

    Hosts take every time they compare from the same server, so their own clocks may be wrong, or be
    set while in use. `read` returns the server's time, None when it cannot be reached. Until it is
    first reached, this machine's wall clock is used.
    """

    def __init__(self, read: Callable[[], datetime | None], machine: Clock | None = None) -> None:
        self._read = read
        self._machine = machine or SystemClock()
        self._reading: _Reading | None = None
        self._ask_at = float("-inf")
        self._asking = threading.Lock()

    def now(self) -> datetime:
        """Return the server's time, aware, in UTC."""
        monotonic, wall = self._machine.monotonic(), self._machine.now()
        if self._is_due(monotonic, wall):
            self._ask()
        reading = self._reading  # read once: another thread may replace it at any time
        return wall if reading is None else reading.at(self._machine.monotonic())

    def monotonic(self) -> float:
        """Return this machine's monotonic clock in seconds."""
        return self._machine.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        self._machine.sleep(seconds)

    @property
    def is_due(self) -> bool:
        """Whether a caller that can read the server's clock cheaply should `note` it."""
        early = self._machine.monotonic() + READ_EVERY_SECONDS / 2
        return self._is_due(early, self._machine.now() + timedelta(seconds=READ_EVERY_SECONDS / 2))

    def refresh(self) -> None:
        """Read the server's time slightly before it is due, so that `now` need not.

        For callers about to call `now` while holding a contended lock.
        """
        if self.is_due:
            self._ask()

    def note(self, theirs: datetime, begun: float) -> None:
        """Use a reading of the server's clock that was requested at `begun` (monotonic)."""
        ended = self._machine.monotonic()
        took = ended - begun
        self._ask_at = ended + READ_EVERY_SECONDS
        if took > SLOW_SECONDS and self._reading is not None:
            # The process or the network stalled: the older reading is more precise.
            self._ask_at = ended
            return
        middle = theirs.astimezone(UTC) + timedelta(seconds=took / 2)
        self._reading = _Reading(middle, ended, self._machine.now())

    def _is_due(self, monotonic: float, wall: datetime) -> bool:
        reading = self._reading
        if reading is None or monotonic >= self._ask_at:
            return monotonic >= self._ask_at
        # The machine's clock was set, or all its clocks stopped: a virtual machine was moved.
        elapsed = (wall - reading.wall).total_seconds()
        return abs(elapsed - (monotonic - reading.monotonic)) > STEP_SECONDS

    def _ask(self) -> None:
        # One thread reads; the others use the last reading, or wait if there is none.
        if not self._asking.acquire(blocking=self._reading is None):
            return
        try:
            begun = self._machine.monotonic()
            if self._reading is None and begun < self._ask_at:
                return  # another thread has just tried
            theirs = self._read()
            if theirs is not None:
                self.note(theirs, begun)
                return
            reading, now = self._reading, self._machine.monotonic()
            self._ask_at = now + (RETRY_SECONDS if reading is None else READ_EVERY_SECONDS)
            if reading is not None:
                # The change of the machine's clock is dealt with: do not retry for its sake.
                self._reading = _Reading(reading.at(now), now, self._machine.now())
        finally:
            self._asking.release()


RESTS_PER_LOOK = 9
LONGEST_REST_SECONDS = 0.5


def poll_until(
    ready: Callable[[], bool], *, clock: Clock, timeout_seconds: float, every_seconds: float = 0.05
) -> bool:
    """Call `ready` until it is true or `timeout_seconds` have passed; return whether it was.

    What takes long to find out is asked for less often than `every_seconds`.
    """
    begun = clock.monotonic()
    deadline = begun + timeout_seconds
    while not ready():
        ended = clock.monotonic()
        if ended >= deadline:
            return False
        rest = min((ended - begun) * RESTS_PER_LOOK, LONGEST_REST_SECONDS)
        clock.sleep(max(every_seconds, rest))
        begun = clock.monotonic()
    return True
