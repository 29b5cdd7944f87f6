"""Time that a test moves."""

from datetime import UTC, datetime, timedelta

READING_SECONDS = 1e-6


class SteppedClock:
    """A clock that stands still until it is moved, but for a microsecond at each reading.

    So of two things, the later one has the later time.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or datetime(2026, 9, 1, 8, tzinfo=UTC)
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        self._elapsed += READING_SECONDS
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds moved so far."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Move the time on at once."""
        self.move(seconds)

    def move(self, seconds: float) -> None:
        """Move the time on by some seconds, never back."""
        self._elapsed += max(0.0, seconds)
