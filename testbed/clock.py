"""Time that a test moves."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock that moves only when it is moved."""

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
