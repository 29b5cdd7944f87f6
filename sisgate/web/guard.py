"""What a request must be before anybody reads it: bounded, well framed, and from no foreign page.

Pure ASGI. It also answers errors that are raised outside of the routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sisgate.domain.network import is_loopback
from sisgate.errors import AccessDenied, SisgateError
from sisgate.settings.web import WebConfig
from sisgate.web.errors import HttpProblem, respond, respond_http
from sisgate.web.faces import is_api

MOST_HEADER_BYTES = 16_384
"""Of all headers of a request together."""

MOST_HEADERS = 100

MOST_PATH_BYTES = 4096

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Headers of every answer that does not set them itself."""


class Guard:
    """Refuses what is no proper request to this service, and answers errors as problems.

    `open_access`: no token is required, so only this machine may ask, under a name of this machine:
    a page in a browser that resolves its own name to 127.0.0.1 is not one.
    """

    def __init__(self, app: ASGIApp, config: WebConfig, *, open_access: bool) -> None:
        self._app = app
        self._config = config
        self._open = open_access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a good request, answer a bad one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def safely(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                names = {name for name, _ in message["headers"]}
                extra = [pair for pair in _ALWAYS if pair[0] not in names]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        path = scope["path"]
        try:
            self._check(scope)
            await self._app(scope, self._bounded(scope, receive), safely)
        except HttpProblem as problem:
            if has_begun:
                raise
            headers = {"Connection": "close"}
            answer = respond_http(problem.status_code, problem.detail, path, headers)
            await answer(scope, receive, safely)
        except SisgateError as error:
            if has_begun:
                raise
            await respond(error, path)(scope, receive, safely)

    def _check(self, scope: Scope) -> None:
        if scope["http_version"] not in {"1.0", "1.1"}:
            raise HttpProblem(505, "This service speaks HTTP/1.1.")
        headers = scope["headers"]
        values = _Values(headers)
        size = sum(len(name) + len(value) + 4 for name, value in headers)
        if size > MOST_HEADER_BYTES or len(headers) > MOST_HEADERS:
            raise HttpProblem(431)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_PATH_BYTES:
            raise HttpProblem(414, "The address is too long.")
        _check_framing(values)
        length = values.last(b"content-length")
        if length is not None and int(length) > self._config.max_body_bytes:
            raise HttpProblem(413)
        has_body = (length or "0") != "0" or values.last(b"transfer-encoding") is not None
        wanted = "application/json" if is_api(scope) else "application/x-www-form-urlencoded"
        if has_body and _media_type(values.last(b"content-type")) != wanted:
            raise HttpProblem(415, None if is_api(scope) else f"A form is sent as {wanted}.")
        if self._open:
            _check_local(scope, values)
        self._check_origin(scope, values)

    def _check_origin(self, scope: Scope, values: _Values) -> None:
        """Refuse changes that a page of another site sends from a browser."""
        origin = values.last(b"origin")
        if scope["method"] in SAFE or origin is None or origin in self._config.cors_origins:
            return
        if origin.partition("://")[2] != (values.last(b"host") or ""):
            raise AccessDenied("A page of another origin may not ask for this.")

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Return `receive` with an end to the size of the body and to the wait for it."""
        read, is_complete = 0, False
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.body_seconds

        async def bounded() -> Message:
            nonlocal read, is_complete
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HttpProblem(408) from None
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                is_complete = not message.get("more_body", False)
                if read > self._config.max_body_bytes:
                    raise HttpProblem(413)
            return message

        return bounded


class _Values:
    """The values of headers by name."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._headers = list(headers)

    def all(self, name: bytes) -> list[str]:
        """Return every value of a header, in the order of the request."""
        return [value.decode("latin-1") for each, value in self._headers if each == name]

    def last(self, name: bytes) -> str | None:
        """Return the last value of a header, None without one."""
        return next(reversed(self.all(name)), None)


def _check_framing(values: _Values) -> None:
    """Refuse a request whose length another server could read differently (RFC 9112, 6.3)."""
    lengths, codings = values.all(b"content-length"), values.all(b"transfer-encoding")
    if (lengths and codings) or len(lengths) > 1 or len(codings) > 1:
        raise HttpProblem(400, "The request gives its length twice.")
    if any(not each.isascii() or not each.isdigit() or len(each) > 18 for each in lengths):
        raise HttpProblem(400, "The length of the request is no number.")
    if len(values.all(b"host")) > 1 or len(values.all(b"authorization")) > 1:
        raise HttpProblem(400, "The request has a header twice that it may have once.")


def _media_type(content_type: str | None) -> str:
    kind, _, _ = (content_type or "").partition(";")
    return kind.strip().lower()


def _name_in(host: str) -> str:
    """Return the name or address in a Host header; "" if there is none, or no valid one."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _check_local(scope: Scope, values: _Values) -> None:
    host = _name_in(values.last(b"host") or "")
    client = (scope.get("client") or ("",))[0]
    if not (is_loopback(host) and is_loopback(client)):
        raise AccessDenied(
            "Without tokens this service answers this machine only, by the name localhost. Set "
            'access = "tokens" to serve others.'
        )
