"""A worker's loop and channel live on when the connection to Redis is lost under them."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from celery.signals import worker_shutting_down
from kombu.asynchronous import Hub
from kombu.connection import Connection
from kombu.message import Message

from sisgate.clock import SystemClock, poll_until
from sisgate.settings import Settings
from testbed.mortal import MortalRedis
from workers.admission.event_loop import HubDriver
from workers.admission.fetcher import Fetcher
from workers.runtime import Runtime

QUEUE = "alpha"


class ListeningFetcher:
    """Notes the signals and takes nothing."""

    def __init__(self) -> None:
        self.signals: list[str] = []
        self.losses = 0
        self.looks = 0
        self.seconds = 0.05

    def note_signal(self, provider: str) -> bool:
        self.signals.append(provider)
        return True

    def sweep_all_queues(self) -> None:
        """Count the losses."""
        self.losses += 1

    def fetch(self) -> float:
        """Ask to be called again."""
        self.looks += 1
        return self.seconds

    def stop(self) -> None:
        """Have nothing in progress."""


@pytest.fixture
def server() -> Iterator[MortalRedis]:
    """A Redis that can be killed."""
    made = MortalRedis()
    yield made
    made.stop()


@pytest.fixture
def loop(server: MortalRedis, tmp_path: Any) -> Iterator[tuple[Hub, ListeningFetcher, Runtime]]:
    """A driver on a worker's event loop."""
    settings = Settings(data_dir=tmp_path, broker_url=cast(Any, server.url))
    runtime = Runtime(settings)
    hub, fetcher = Hub(), ListeningFetcher()
    driver = HubDriver(hub, runtime)
    driver.begin(cast(Fetcher, fetcher))
    yield hub, fetcher, runtime
    driver.stop()
    hub.close()


def turn(hub: Hub, ready: Callable[[], bool]) -> bool:
    """Let the loop turn until something is so."""

    def turned() -> bool:
        hub.run_once()
        return ready()

    return poll_until(turned, clock=SystemClock(), timeout_seconds=20, every_seconds=0)


def drop_listeners(server: MortalRedis) -> None:
    """End the connections that wait for signals; redis-py makes new ones by itself."""
    assert server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1


def restart(server: MortalRedis) -> None:
    """Kill Redis and start it again."""
    server.kill()
    server.start()


@pytest.mark.parametrize("lose", [drop_listeners, restart])
def test_signals_are_heard_again_after_their_connection_was_lost(
    lose: Callable[[MortalRedis], None],
    server: MortalRedis,
    loop: tuple[Hub, ListeningFetcher, Runtime],
) -> None:
    """Again and again."""
    hub, fetcher, runtime = loop
    assert len(hub.readers) == 2
    for number in range(3):
        name = f"provider{number}"
        lose(server)

        def heard(name: str = name) -> bool:
            runtime.wakeups.signal_work(name)
            return name in fetcher.signals

        assert turn(hub, heard)


def test_a_connection_that_was_lost_leaves_no_reader_behind(
    server: MortalRedis, loop: tuple[Hub, ListeningFetcher, Runtime]
) -> None:
    """The next file of its number would wake the driver for what is not its own."""
    hub, fetcher, _ = loop
    server.kill()
    assert turn(hub, lambda: fetcher.losses > 0)
    assert len(hub.readers) == 1
    server.start()


def test_a_signal_to_stop_wakes_an_idle_loop(loop: tuple[Hub, ListeningFetcher, Runtime]) -> None:
    """Else a worker with nothing to do would see it when its poll ends."""
    hub, fetcher, _ = loop
    fetcher.seconds = 3600.0
    assert turn(hub, lambda: fetcher.looks == 1)
    hub.call_repeatedly(0.1, lambda: None)  # so that a turn without a look has an end
    worker_shutting_down.send(sender="w", sig="SIGTERM", how="Warm", exitcode=0)
    assert turn(hub, lambda: fetcher.looks == 2)


@pytest.mark.parametrize("how", ["ack", "reject", "requeue"])
def test_a_message_of_a_lost_connection_can_be_left(how: str, server: MortalRedis) -> None:
    """A task ends after its connection was replaced; its message comes back by the timeout."""
    transport = "workers.admission.consumer:CheckingTransport"
    with Connection(server.url) as ours, ours.SimpleQueue(QUEUE) as queue:
        queue.put({"call_id": 1})
    connection = Connection(server.url, transport=transport)
    message = cast(Message, connection.default_channel.basic_get(QUEUE))
    server.kill()
    connection.close()
    server.start()
    getattr(message, how)()
    assert server.client.hlen("unacked") == 1
