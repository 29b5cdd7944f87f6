"""The clock of a fleet follows one server's, whatever this machine's own does."""

from datetime import UTC, datetime, timedelta

from sisgate.clock import READ_EVERY_SECONDS, ReferenceClock
from testbed.clock import ManualClock

HOUR = timedelta(hours=1)
START = datetime(2026, 9, 1, 8, tzinfo=UTC)


class Host(ManualClock):
    """A machine whose wall clock can be set, as its administrator may."""

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        super().__init__(START)
        self.ahead = ahead

    def now(self) -> datetime:
        """Return what the machine believes."""
        return super().now() + self.ahead


class Server:
    """A server whose clock is right, where it can be reached."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.is_up = True
        self.takes = 0.0
        self.asked = 0

    def read(self) -> datetime | None:
        """Return its time, after as long as the way there and back takes."""
        self.asked += 1
        self._host.advance(self.takes / 2)
        theirs = START + timedelta(seconds=self._host.monotonic()) if self.is_up else None
        self._host.advance(self.takes / 2)
        return theirs

    def off(self, clock: ReferenceClock) -> float:
        """Return by how many seconds a clock differs from the server's."""
        return (clock.now() - START).total_seconds() - self._host.monotonic()


def test_it_is_the_servers_whatever_the_hosts_is() -> None:
    """Hours ahead or behind; and it is read seldom."""
    for ahead in (HOUR, -HOUR, timedelta(0)):
        host = Host(ahead)
        server = Server(host)
        clock = ReferenceClock(server.read, host)
        for _ in range(10):
            assert server.off(clock) == 0
            host.advance(READ_EVERY_SECONDS / 10)
        assert server.asked == 1
        host.advance(1)
        assert server.off(clock) == 0
        assert server.asked == 2


def test_a_host_whose_clock_is_set_goes_on_as_before() -> None:
    """Nothing moves; the server is asked once more, for the machine may have stood still."""
    host = Host()
    server = Server(host)
    clock = ReferenceClock(server.read, host)
    clock.now()
    host.ahead = -HOUR
    assert server.off(clock) == 0
    assert server.asked == 2
    assert server.off(clock) == 0
    assert server.asked == 2


def test_a_server_that_is_away_is_carried_on() -> None:
    """By the monotonic clock, and it is not asked again at once, set clock or not."""
    host = Host(HOUR)
    server = Server(host)
    clock = ReferenceClock(server.read, host)
    clock.now()
    server.is_up = False
    host.advance(2 * READ_EVERY_SECONDS)
    host.ahead = -HOUR
    for _ in range(3):
        assert server.off(clock) == 0
    assert server.asked == 2


def test_without_any_reading_it_is_the_hosts() -> None:
    """Until the server is reached, which is tried again soon."""
    host = Host(HOUR)
    server = Server(host)
    server.is_up = False
    clock = ReferenceClock(server.read, host)
    assert server.off(clock) == 3600
    server.is_up = True
    host.advance(3)
    assert server.off(clock) == 0


def test_a_slow_reading_does_not_move_it() -> None:
    """Half of what it took may be wrong; a first one is better than none."""
    host = Host(HOUR)
    server = Server(host)
    clock = ReferenceClock(server.read, host)
    server.takes = 0.2
    assert abs(server.off(clock)) <= 0.1
    before = server.off(clock)
    clock.note(START, host.monotonic() - 20)
    assert server.off(clock) == before


def test_whoever_talks_to_the_server_anyway_reads_it_before_it_is_due() -> None:
    """Then nobody has to connect for it."""
    host = Host(HOUR)
    server = Server(host)
    clock = ReferenceClock(server.read, host)
    due = [clock.is_due]
    clock.now()
    due.append(clock.is_due)
    host.advance(READ_EVERY_SECONDS * 0.6)
    due.append(clock.is_due)
    assert due == [True, False, True]
    clock.note(START + timedelta(seconds=host.monotonic()), host.monotonic())
    host.advance(READ_EVERY_SECONDS * 0.6)
    assert server.off(clock) == 0
    assert server.asked == 1
