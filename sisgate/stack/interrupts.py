"""Ctrl-C and SIGTERM as a flag, for an orderly stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sisgate.clock import Clock


class Interrupts:
    """Counts signals to stop, and remembers the first."""

    def __init__(self) -> None:
        self.count = 0
        self.first: signal.Signals | None = None

    @property
    def none(self) -> bool:
        """Whether no signal has arrived."""
        return self.count == 0

    @property
    def again(self) -> bool:
        """Whether a second signal demands an immediate stop."""
        return self.count > 1

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self.first = self.first or signal.Signals(number)


def until_interrupted(clock: Clock, seconds: float) -> Iterator[None]:
    """Yield every `seconds` until a signal arrives."""
    with interrupts() as stops:
        while stops.none:
            yield
            clock.sleep(seconds)


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Catch SIGINT, SIGTERM and SIGHUP within the block."""
    noted = Interrupts()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, noted._note) for number in numbers}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
