"""A provider that records every call: when it came, its method, path, key and body.

It knows nothing of the product. It speaks enough OneRoster for a sync: lists of `ROWS` rows in
pages, in the version that a provider is set to. What else is asked is answered with its own path.
"""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.faults.loop import LoopThread

LISTS = "/ims/oneroster/rostering/v1p2/"
ROWS = 120
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Seen:
    """One call as the provider saw it; `at` is monotonic, when its last byte came."""

    at: float
    name: str
    method: str
    path: str
    offset: int | None
    """Where in a list a page begins; None for what is no page of a list."""
    key: str | None
    body: bytes
    is_control: bool
    """Whether a worker asks whose fault a failure is, within the attempt of another call."""


class Provider:
    """An HTTP server on the loopback interface; the first part of a path is a provider's name."""

    def __init__(self, thread: LoopThread, seed: int, most_latency_seconds: float = 0.2) -> None:
        self.seen: list[Seen] = []
        self.versions: dict[str, int] = {}
        self._numbers = random.Random(seed)
        self._most_latency_seconds = most_latency_seconds
        listening = thread.loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self._server = thread.run(listening)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Close the port."""
        self._server.close()

    def times(self, name: str) -> list[float]:
        """Return when the calls of a provider came, in order."""
        return sorted(seen.at for seen in self.seen if seen.name == name)

    def calls_of(self, name: str) -> Counter[str]:
        """Return how often each path of a provider was called; pages of lists are left out."""
        return Counter(s.path for s in self._calls_of(name) if s.offset is None)

    def pages_of(self, name: str) -> Counter[int]:
        """Return how often each page of a provider's lists was read, by its offset."""
        return Counter(s.offset for s in self._calls_of(name) if s.offset is not None)

    def _calls_of(self, name: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.name == name and not seen.is_control]

    def note(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Seen:
        """Stamp a call."""
        now = time.monotonic()
        parts = urlsplit(target)
        _, name, path = parts.path.split("/", 2)
        path = f"/{path}"
        query = parse_qs(parts.query)
        is_list = path.startswith(LISTS)
        offset = int(query.get("offset", ["0"])[0]) if is_list else None
        # One org is enough to see that a server answers; pages are larger.
        is_control = is_list and query.get("limit") == ["1"]
        key = headers.get("authorization")
        made = Seen(now, name, method, path, offset, key, body, is_control)
        self.seen.append(made)
        return made

    def answer(self, seen: Seen, target: str) -> bytes:
        if seen.offset is None:
            body: Any = {"path": seen.path}
            # Each request connects, whichever process makes it: that is a point of `points`.
            headers = "Connection: close\r\n"
        else:
            size = int(parse_qs(urlsplit(target).query).get("limit", ["100"])[0])
            rows = rows_of(self.versions.get(seen.name, 0))
            body = {seen.path.removeprefix(LISTS): rows[seen.offset : seen.offset + size]}
            headers = f"X-Total-Count: {len(rows)}\r\n"
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}"
        return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text

    def latency_seconds(self) -> float:
        """Return the seconds until the next answer."""
        return self._numbers.uniform(0.0, self._most_latency_seconds)


class _Connection(asyncio.Protocol):
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while HEAD_END in self._buffer:
            head, rest = self._buffer.split(HEAD_END, 1)
            first, *lines = head.decode().split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", "0"))
            if len(rest) < length:
                return
            body, self._buffer = rest[:length], rest[length:]
            method, target, _ = first.split(" ", 2)
            seen = self._provider.note(method, target, headers, body)
            wait = self._provider.latency_seconds()
            asyncio.get_running_loop().call_later(wait, self._answer, seen, target)

    def _answer(self, seen: Seen, target: str) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._provider.answer(seen, target))


def rows_of(version: int) -> list[dict[str, Any]]:
    """Return a list of orgs; each version changes some rows, adds some and drops some.

    >>> len(rows_of(0)), len(rows_of(1))
    (120, 121)
    """
    numbers = [n for n in range(ROWS + 3 * version) if not 0 <= n - 10 * version < 2 or not version]
    return [_row(number, version if number % 7 == version % 7 else 0) for number in numbers]


def _row(number: int, version: int) -> dict[str, Any]:
    return {
        "sourcedId": f"org-{number:04d}",
        "status": "active",
        "dateLastModified": f"2026-09-{1 + version % 28:02d}T08:00:00.000Z",
        "name": f"School {number}, {version}",
        "type": "school",
        "identifier": f"{number:04d}",
    }
