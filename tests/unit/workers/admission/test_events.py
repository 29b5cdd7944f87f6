"""The events of tasks, for Flower, are sent together."""

from collections.abc import Callable

from sisgate.clock import SystemClock
from workers.admission.consumer import EVENTS_SECONDS, AdmittingConsumer


class Loop:
    """Notes what is to be called later."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.later.append((seconds, callback))


class Machine(SystemClock):
    """A clock that a test sets."""

    at = 1000.0

    def monotonic(self) -> float:
        """Return the time that was set."""
        return self.at


def test_many_events_are_sent_once_and_none_is_left_behind() -> None:
    """Also after a new connection to the broker, which drops the timers of the old one."""
    consumer = AdmittingConsumer.__new__(AdmittingConsumer)
    consumer.hub, consumer._clock, consumer._flush_at = Loop(), Machine(), 0.0
    for _ in range(100):
        consumer.on_send_event_buffered()
    assert [seconds for seconds, _ in consumer.hub.later] == [EVENTS_SECONDS]
    consumer.hub.later.clear()
    consumer._clock.at += EVENTS_SECONDS
    consumer.on_send_event_buffered()
    assert len(consumer.hub.later) == 1
