"""A provider that does nothing but stamp each arrival: the oracle of the limit."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

HEAD_END = b"\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Arrival:
    """One call as the provider saw it: when its last byte came, and its path."""

    at: float
    path: str


@dataclass
class Recording:
    """What one provider has seen so far."""

    arrivals: list[Arrival] = field(default_factory=list)

    @property
    def times(self) -> list[float]:
        """When each call came, in order."""
        return sorted(arrival.at for arrival in self.arrivals)

    @property
    def paths(self) -> Counter[str]:
        """How often each path was called."""
        return Counter(arrival.path for arrival in self.arrivals)


def windows_above(times: Sequence[float], limit: int, period: float) -> int:
    """Return how many windows of `period` seconds that end with a call hold more than `limit`.

    A sliding window that holds too many holds the same too many when it ends with its last call,
    so none is missed.

    >>> windows_above([0.0, 1.0, 2.0, 9.0, 10.5], limit=3, period=10.0)
    2
    """
    return sum(
        1 for last in range(limit, len(times)) if times[last] - times[last - limit] <= period
    )


class Recorder:
    """An HTTP server on the loopback interface, in a thread; the first part of a path is a name.

    `latency` gives the seconds until the answer of each call, `latencies` those of one name.
    """

    def __init__(self, latency: Callable[[], float] = lambda: 0.0) -> None:
        self.latency = latency
        self.latencies: dict[str, Callable[[], float]] = {}
        self._recordings: dict[str, Recording] = {}
        self._waiting: dict[asyncio.TimerHandle, Callable[[], None]] = {}
        self._connected: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()
        self._started.wait()

    def __getitem__(self, name: str) -> Recording:
        return self._recordings.setdefault(name, Recording())

    def url(self, name: str) -> str:
        """Return the base URL of a provider."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def urls(self, name: str) -> list[str]:
        """Return the base URLs of all endpoints of a provider."""
        return [self.url(name)]

    def release(self) -> None:
        """Answer everybody who waits, and from now on at once: nobody is kept who wants to stop."""
        self._loop.call_soon_threadsafe(self._release)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def note(self, target: str) -> float:
        """Stamp a call and return the seconds until its answer."""
        now = time.monotonic()
        _, name, path = target.split("/", 2)
        self[name].arrivals.append(Arrival(now, f"/{path}"))
        return self.latencies.get(name, self.latency)()

    def answer(self, _target: str) -> bytes:
        """Return the answer to a call, when its latency has passed."""
        return ANSWER

    def answer_after(self, seconds: float, answer: Callable[[], None]) -> None:
        """Call `answer` when so much time has passed, or at the release. In the loop's thread."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle = loop.call_later(seconds, lambda: self._finish(timer))
        self._waiting[timer] = answer

    def _finish(self, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self._waiting.pop(timer)()

    def _release(self) -> None:
        self.latency = lambda: 0.0
        self.latencies.clear()
        for timer in list(self._waiting):
            self._finish(timer)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        listening = self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        server = self._loop.run_until_complete(listening)
        self.port: int = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for transport in list(self._connected):
            transport.abort()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class _Connection(asyncio.Protocol):
    """Reads requests without a body and answers each after the recorder's latency."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._recorder._connected.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._recorder._connected.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while HEAD_END in self._buffer:
            head, self._buffer = self._buffer.split(HEAD_END, 1)
            target = head.split(b" ", 2)[1].decode()
            seconds = self._recorder.note(target)
            self._recorder.answer_after(seconds, partial(self._answer, target))

    def _answer(self, target: str) -> None:
        answer = self._recorder.answer(target)
        if not self._transport.is_closing():
            self._transport.write(answer)


def between(least: float, most: float) -> Callable[[], float]:
    """Return a latency that is spread evenly, the same in every run."""
    numbers = random.Random(7)
    return lambda: numbers.uniform(least, most)


FAILURE = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)


@dataclass(frozen=True)
class Served:
    """One call as its endpoint saw it. Times are monotonic."""

    endpoint: str
    began: float
    ended: float
    failed: bool


class FailingRecorder(Recorder):
    """Endpoints `a` and `b` of each provider, or only `a`; those in `down` answer 500."""

    def __init__(self, endpoints: str = "a", latency_seconds: float = 0.05) -> None:
        self._endpoints = endpoints
        self.down: set[str] = set()
        self.served: list[Served] = []
        self._begun: dict[str, list[float]] = {}
        super().__init__(lambda: latency_seconds)

    def urls(self, name: str) -> list[str]:
        """Return one URL for each endpoint."""
        return [f"{self.url(name)}/{endpoint}" for endpoint in self._endpoints]

    def note(self, target: str) -> float:
        """Stamp a call."""
        self._begun.setdefault(target, []).append(time.monotonic())
        return super().note(target)

    def answer(self, target: str) -> bytes:
        """Return what the endpoint answers now."""
        endpoint = target.split("/")[2]
        failed = endpoint in self.down
        began = self._begun[target].pop(0)
        self.served.append(Served(endpoint, began, time.monotonic(), failed))
        return FAILURE if failed else ANSWER

    @property
    def at_work(self) -> int:
        """How many calls are under way."""
        return sum(map(len, self._begun.values()))


def most_at_once(served: list[Served]) -> int:
    """Return the largest number of calls that ran at the same time.

    >>> most_at_once([Served("a", 0, 2, True), Served("a", 1, 3, True), Served("a", 3, 4, True)])
    2
    """
    return max(sum(o.began <= s.began < o.ended for o in served) for s in served)
