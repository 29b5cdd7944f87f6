"""What providers answer in a test: what it says, and else what a small simulated district has."""

from __future__ import annotations

import asyncio
import io
import json as json_module
import threading
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.response import HTTPResponse

from sisgate.bounded_http import BoundedSession, check_before_write
from sisgate.domain.network import Network
from sisgate.start_up import has_extra
from sisgate.transport import Transport

if TYPE_CHECKING:
    from sisgate.sandbox.vendor import VendorServer

STUDENTS = 12
"""Of a simulated district."""

Scope = MutableMapping[str, Any]


@dataclass(frozen=True)
class SentRequest:
    """One request that reached a provider. `path` is below its endpoint's own path.

    Header names are lower case.
    """

    provider: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the body as JSON."""
        return json_module.loads(self.body)


@dataclass(frozen=True)
class ProviderReply:
    """What a provider answers."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(
        cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> ProviderReply:
        """Return an answer in JSON."""
        named = {"content-type": "application/json", **(headers or {})}
        return cls(status, json_module.dumps(value).encode(), named)


NOT_FOUND = ProviderReply.of_json({"message": "no such path"}, 404)

Answer = Callable[[SentRequest], ProviderReply | Exception | None]


class Place(NamedTuple):
    """What is at an origin: a provider of a kind, below `root`; its resources at `base_path`."""

    provider: str
    kind: str
    root: str
    base_path: str | None


class ScriptedProviders:
    """All providers of a test.

    `reply` is asked first; it returns None for what it has no answer to, and an exception, such as
    `requests.ConnectionError()`, for a failure of the network. `sent` are the requests that came.
    """

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = places
        self.reply: Answer = lambda _: None
        self.sent: list[SentRequest] = []
        self._districts: dict[str, VendorServer] = {}
        self._serving = threading.Lock()

    def answered(self, request: PreparedRequest) -> ProviderReply:
        """Return the answer to a request that is being sent, or raise as the network would."""
        parts = urlsplit(str(request.url))
        place = self._places[f"{parts.scheme}://{parts.netloc}"]
        body = request.body or b""
        sent = SentRequest(
            place.provider, str(request.method), parts.path.removeprefix(place.root),
            tuple(parse_qsl(parts.query, keep_blank_values=True)),
            {each.lower(): value for each, value in request.headers.items()},
            body.encode() if isinstance(body, str) else bytes(body),
        )  # fmt: skip
        with self._serving:
            self.sent.append(sent)
            reply = self.reply(sent)
            if isinstance(reply, Exception):
                raise reply
            return reply if reply is not None else self._simulated(place, sent, parts.query)

    def _simulated(self, place: Place, sent: SentRequest, query: str) -> ProviderReply:
        """Return what the sandbox answers; 404 where its extra is not installed."""
        if not has_extra("sandbox"):
            return NOT_FOUND
        if sent.provider not in self._districts:
            from sisgate.sandbox.server import build
            from sisgate.sandbox.spec import DistrictSpec

            spec = DistrictSpec(sent.provider, place.kind, students=STUDENTS, quota=None)  # type: ignore[arg-type]  # one of the kinds
            self._districts[sent.provider] = build(spec)[1]
        district, path = self._districts[sent.provider], sent.path
        if place.base_path is not None and path.startswith(place.base_path):
            # A simulated district has a base path of its own.
            path = f"{district.oneroster_path}{path.removeprefix(place.base_path)}"
        return _served(district.app, sent, path, query)


def _served(app: Callable[..., Any], sent: SentRequest, path: str, query: str) -> ProviderReply:
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": sent.method,
        "scheme": "https", "path": unquote(path), "raw_path": path.encode(),
        "query_string": query.encode(), "root_path": "", "client": None,
        "server": (f"{sent.provider}.test", 443),
        "headers": [(name.encode(), text.encode()) for name, text in sent.headers.items()],
    }  # fmt: skip
    status, headers, body = 500, dict[str, str](), b""

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": sent.body, "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        nonlocal status, body
        if message["type"] == "http.response.start":
            status = message["status"]
            headers.update({name.decode(): value.decode() for name, value in message["headers"]})
        else:
            body += message.get("body", b"")

    _run(lambda: app(scope, receive, send))
    return ProviderReply(status, body, headers)


def _run(coroutine: Callable[[], Any]) -> None:
    """Run a coroutine to its end, also where this thread has a loop that runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine())
        return
    thread = threading.Thread(target=lambda: asyncio.run(coroutine()))
    thread.start()
    thread.join()


class _Adapter(BaseAdapter):
    """Answers in the place of the network."""

    def __init__(self, providers: ScriptedProviders) -> None:
        super().__init__()
        self._providers = providers

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        """Return the answer as a connection would bring it."""
        check_before_write()
        reply = self._providers.answered(request)
        body = b"" if request.method == "HEAD" else reply.body
        response = requests.Response()
        response.status_code = reply.status
        response.headers = CaseInsensitiveDict(reply.headers)
        response.url, response.request = str(request.url), request
        response.raw = HTTPResponse(
            io.BytesIO(body), dict(reply.headers), reply.status, preload_content=False
        )
        return response

    def close(self) -> None:
        """There is nothing to close."""


class ScriptedTransport(Transport):
    """The worker's transport, whose requests are answered by the test."""

    def __init__(self, clock: Any, providers: ScriptedProviders) -> None:
        super().__init__(clock)
        self._adapter = _Adapter(providers)

    def _session(self, network: Network) -> BoundedSession:
        known = network in self._sessions
        session = super()._session(network)
        if not known:
            session.mount("https://", self._adapter)
            session.mount("http://", self._adapter)
        return session
