"""Reading the body of a request, no further than a limit in size and time."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
from starlette.datastructures import Headers

from sisgate.problem_details import type_of

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class BodyRefused(Exception):
    """The body is not read; `status` says why. Not an error of sisgate: the caller's HTTP is."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = {
            "type": type_of("body_refused"), "title": title, "status": status, "detail": detail,
            "code": "body_refused",
        }  # fmt: skip


class CallerGone(Exception):  # not an error
    """The caller went away before its request was complete, so nothing was asked for."""


class Body:
    """The body of a request, which is read once, whoever needs it first.

    A body that is declared or turns out to be larger than `max_bytes` is refused before it is
    buffered, as is one that is compressed or takes longer than `seconds`.
    """

    def __init__(self, headers: Headers, receive: Receive, max_bytes: int, seconds: float) -> None:
        self._headers = headers
        self._receive = receive
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._read: bytes | BodyRefused | CallerGone | None = None
        self._is_given = False

    async def read(self) -> bytes:
        """Return the whole body; `BodyRefused` or `CallerGone` each time it is asked for."""
        if self._read is None:
            try:
                self._read = await _body(
                    self._headers, self._receive, self._max_bytes, self._seconds
                )
            except (BodyRefused, CallerGone) as error:
                self._read = error
        if isinstance(self._read, bytes):
            return self._read
        raise self._read

    async def receive(self) -> MutableMapping[str, Any]:
        """Give the body to a `Request`, as a server does."""
        if self._is_given:
            return await self._receive()
        self._is_given = True
        return {"type": "http.request", "body": await self.read(), "more_body": False}


async def _body(headers: Headers, receive: Receive, max_bytes: int, seconds: float) -> bytes:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise BodyRefused(
            415, "The body is compressed", "Send the body without a Content-Encoding."
        )
    declared = headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit():
        raise BodyRefused(400, "The length is invalid", "Content-Length is not a number.")
    if int(declared) > max_bytes:
        raise _too_large(max_bytes)
    try:
        with anyio.fail_after(seconds):
            return await _read(receive, max_bytes)
    except TimeoutError:
        raise BodyRefused(
            408, "The body came too slowly", f"It was not complete after {seconds:g} s."
        ) from None


async def _read(receive: Receive, max_bytes: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(max_bytes: int) -> BodyRefused:
    return BodyRefused(413, "The body is too large", f"A body has at most {max_bytes} bytes here.")
