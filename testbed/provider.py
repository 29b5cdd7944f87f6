"""A provider over a socket whose answers a test writes: one function, page by page."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as the provider saw it."""

    method: str
    path: str
    query: Mapping[str, str]

    def number(self, name: str, default: int) -> int:
        """Return a parameter of the query that is a number."""
        return int(self.query.get(name, default))


@dataclass(frozen=True)
class Answered:
    """What the provider answers: a JSON-ready body."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] | None = None


Answer = Callable[[Asked], Answered]


class Provider:
    """Serves `answer`, which may be replaced at any time, and remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                asked = Asked(self.command, parts.path, query)
                provider.asked.append(asked)
                answered = provider.answer(asked)
                body = json.dumps(answered.body).encode()
                self.send_response(answered.status)
                for name, value in (answered.headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _serve  # noqa: N815 - the names that http.server calls

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def users(count: int, **words: Any) -> list[dict[str, Any]]:
    """Return OneRoster users in the order of their ids; every one may be given the same fields."""
    return [
        {"sourcedId": f"s{n:05}", "status": "active", "givenName": "A", "familyName": f"B{n}",
         **words}
        for n in range(count)
    ]  # fmt: skip


def page_of(rows: Sequence[Any], asked: Asked, *, cap: int = 10_000) -> list[Any]:
    """Return the rows that `limit` and `offset` ask for."""
    start = asked.number("offset", 0)
    return list(rows[start : start + min(asked.number("limit", 100), cap)])


ROWS = users(90)


def with_totals(asked: Asked) -> Answered:
    """Pages that are read side by side."""
    return Answered({"users": page_of(ROWS, asked)}, headers={"X-Total-Count": str(len(ROWS))})


def chained(asked: Asked) -> Answered:
    """Pages that are read one after the other."""
    return Answered({"users": page_of(ROWS, asked)})


def powerquery(asked: Asked) -> Answered:
    """Pages that are asked for by POST, without a count."""
    if not asked.path.startswith("/ws/schema/query/"):
        return Answered({"district": {"name": "Lincoln", "uuid": "d"}})
    size, page = asked.number("pagesize", 20), asked.number("page", 1)
    rows = [
        {"id": str(n), "student_id": "1", "section_id": "1", "school_dcid": "1"}
        for n in range(1, 91)
    ]
    return Answered({"name": "cc", "record": rows[(page - 1) * size : page * size]})


WAYS: dict[str, tuple[str, Answer]] = {
    "with totals": ("oneroster", with_totals),
    "chained": ("oneroster", chained),
    "powerquery": ("powerschool", powerquery),
    "request": ("oneroster", with_totals),
}
"""How calls follow each other, by name: the kind of provider, and its answers."""
