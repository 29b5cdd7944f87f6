"""Requests as no client library sends them: odd targets, lengths, line ends and headers."""

import itertools
import select
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress

HEAD = "Host: localhost"

FRAMINGS: tuple[tuple[str, ...], ...] = (
    ("",),
    ("", "Content-Length: 0"),
    ("{}", "Content-Length: 2"),
    ("{}", "Content-Length: 3"),
    ("{}xx", "Content-Length: 2"),
    ("{}", "Content-Length: -2"),
    ("{}", "Content-Length: +2"),
    ("{}", "Content-Length: 0x2"),
    ("{}", "Content-Length: 2 2"),
    ("{}", "Content-Length: 2, 2"),
    ("{}", "Content-Length: 2", "Content-Length: 2"),
    ("{}", "Content-Length: 2", "Content-Length: 7"),
    ("{}", "Content-Length: \u00b2"),
    ("{}", "Content-Length : 2"),
    ("{}", "Content-Length: 18446744073709551618"),
    ("{}", "Content-Length:"),
    ("2|{}|0||", "Transfer-Encoding: chunked"),
    ("2;x=y|{}|0|X-Trailer: 1||", "Transfer-Encoding: chunked"),
    ("2|{}|0||", "Transfer-Encoding: chunked", "Content-Length: 2"),
    ("2|{}|0||", "Content-Length: 12", "Transfer-Encoding: chunked"),
    ("2|{}|0||", "Transfer-Encoding: chunked, chunked"),
    ("2|{}|0||", "Transfer-Encoding: identity"),
    ("2|{}|0||", "Transfer-Encoding: xchunked"),
    ("2|{}|0||", "Transfer-Encoding: gzip, chunked"),
    ("2|{}|0||", "Transfer-Encoding:\vchunked"),
    ("2|{}|0||", "Transfer-Encoding: chunked", "Transfer-Encoding: x"),
    ("-2|{}|0||", "Transfer-Encoding: chunked"),
    ("0x2|{}|0||", "Transfer-Encoding: chunked"),
    ("2|{}xx|0||", "Transfer-Encoding: chunked"),
    ("fffffffffffffffff|{}|0||", "Transfer-Encoding: chunked"),
    ("0||GET /metrics HTTP/1.1|Host: localhost||", "Transfer-Encoding: chunked"),
)
"""A body and the headers that frame it; | stands for a line end."""

ODD_HEADERS = (
    "X-Folded: a| b",
    "X-Folded: a|\tb: c",
    " X-Leading: space",
    "X-Nul: a\0b",
    "X-Bare: a\rb",
    "X\0Name: a",
    ": nameless",
    "nocolon",
    "X-High: \xff\xfe",
    "Host: other",
    "Authorization: Basic eA==",
    "Authorization: Bearer a|Authorization: Bearer b",
    "Authorization: Bearer \xe9",
    "X-Forwarded-For: 127.0.0.1|X-Forwarded-Host: evil.test|Forwarded: for=127.0.0.1",
    "X-HTTP-Method-Override: DELETE",
    "X-Original-URL: /metrics|X-Rewrite-URL: /metrics",
    "Connection: close, authorization, host",
    "Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Version: 13|Sec-WebSocket-Key: eA==",
    "Upgrade: h2c|HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA|Connection: Upgrade, HTTP2-Settings",
    "Expect: 100-continue",
    "Expect: nonsense",
    "Prefer: wait=99999999999999999999",
    "Prefer: " + "wait=1, " * 500,
    "If-None-Match: " + '"x", ' * 500,
    'Idempotency-Key: "a',
    "Content-Encoding: gzip",
    "Accept-Encoding: \0",
    "Cookie: a=b; token=c",
    "Range: bytes=0-0",
    f"X-Huge: {'y' * 20_000}",
    f"X-Huge: {'y' * 70_000}",
    "|".join(f"X-{n}: y" for n in range(120)),
)  # fmt: skip

VERSIONS = ("HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 x", "http/1.1", "HTTP/11", "")


def raw_requests(targets: Iterable[str], headers: Iterable[str] = ()) -> Iterator[bytes]:
    """Yield requests: every target plain, and the first ones in all framings and odd forms.

    `headers` are in all of them. No request leaves the connection open.
    """
    always = (HEAD, "Connection: close", *headers)
    every = list(targets)
    first = every[:4]
    for target in every:
        yield _message(f"GET {target} HTTP/1.1", always)
    for target, (method, framing) in itertools.product(
        first, itertools.product(("GET", "POST", "PUT", "DELETE"), FRAMINGS)
    ):
        body, *lengths = framing
        kind = ("Content-Type: application/json",)
        yield _message(f"{method} {target} HTTP/1.1", (*always, *kind, *lengths), body)
    for target, odd in itertools.product(first, ODD_HEADERS):
        yield _message(f"GET {target} HTTP/1.1", (*always, odd))
        yield _message(f"GET {target} HTTP/1.1", (odd, *always))
    for target, version in itertools.product(first, VERSIONS):
        yield _message(f"GET {target} {version}", always)
    for target, end in itertools.product(first, ("\n", "\r", "\r\r\n", "\n\r", "\r\n ")):
        yield _message(f"GET {target} HTTP/1.1", always, end=end)
    for method in ("get", "G ET", "CONNECT", "TRACE", "PRI", "\0", "", "X" * 5000, "GET\t"):
        for target in first:
            yield _message(f"{method} {target} HTTP/1.1", always)
    for one, other in itertools.product(every[:12], every[:12]):  # pipelined
        yield _message(f"GET {one} HTTP/1.1", (HEAD, *headers)) + _message(
            f"GET {other} HTTP/1.1", always
        )


def _message(line: str, headers: Iterable[str], body: str = "", *, end: str = "\r\n") -> bytes:
    text = "|".join([line, *headers, "", ""])
    return (text + body).replace("|", end).encode("latin-1", "replace")


QUIET_SECONDS = 0.04
LONGEST_SECONDS = 10.0


def answer_to(port: int, request: bytes) -> bytes:
    """Send bytes and return all that comes back. Raises `TimeoutError` if the server never closes.

    A server that waits for more learns that there is no more: its caller half-closes.
    """
    received = b""
    address = "127.0.0.1", port
    with socket.create_connection(address, LONGEST_SECONDS) as sent, suppress(ConnectionError):
        sent.sendall(request)
        while select.select([sent], [], [], QUIET_SECONDS)[0]:
            if not (chunk := sent.recv(65_536)):
                return received
            received += chunk
        sent.shutdown(socket.SHUT_WR)
        while chunk := sent.recv(65_536):
            received += chunk
    return received
