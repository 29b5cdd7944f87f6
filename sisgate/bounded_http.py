"""Answers that end in time and in size, whatever the other side does.

A socket's timeout bounds one read. A server that sends a byte of its head now and then meets it
each time, and `http.client` reads up to a hundred lines: that is not a deadline.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from requests import Response, Session, Timeout
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse, HTTPResponse

from sisgate.clock import Clock

READ_CHUNK = 65_536


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


class _Bounded(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        """Read the head of the answer within the connection's timeout as a whole."""
        if not isinstance(self.timeout, int | float) or self.sock is None:
            return super().getresponse()
        watchdog = threading.Timer(self.timeout, _cut, [self.sock])
        watchdog.daemon = True
        watchdog.start()
        try:
            return super().getresponse()
        finally:
            watchdog.cancel()


class _BoundedTls(_Bounded, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTls


class BoundedAdapter(HTTPAdapter):
    """The adapter of requests, over connections whose answer begins in time."""

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        """Make the pool manager with our pools."""
        super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]  # passed on as given
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class BoundedSession(Session):
    """A session that takes nothing from the machine's environment and follows no redirect.

    Not even half: `requests` reads the body of a redirect, however long, also where it is not to
    follow it. A netrc of the machine must not replace a provider's credentials.
    """

    def __init__(self, *, connections: int = 10, connections_kept: int = 10) -> None:
        super().__init__()
        self.trust_env = False
        adapter = BoundedAdapter(
            pool_connections=connections, pool_maxsize=connections_kept, max_retries=0
        )
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: Response) -> str | None:
        """Return that there is none."""
        return None


def read_within(raw: BaseHTTPResponse, clock: Clock, deadline: float, limit: int) -> bytes:
    """Return a body that was asked for as a stream; `deadline` is one of the monotonic clock.

    Raises `requests.Timeout` at the deadline, `ValueError` beyond `limit` bytes, and what urllib3
    raises for a body that is cut or malformed.
    """
    # read1 returns what has come, so a trickle of bytes meets the deadline between two reads.
    chunks: list[bytes] = []
    size = 0
    while True:
        left = deadline - clock.monotonic()
        if left <= 0:
            raise Timeout
        _set_timeout(raw, left)
        chunk = raw.read1(READ_CHUNK, decode_content=True)
        if not chunk:
            return b"".join(chunks)
        size += len(chunk)
        if size > limit:
            raise ValueError(f"more than {limit} bytes")
        chunks.append(chunk)


def _set_timeout(raw: BaseHTTPResponse, seconds: float) -> None:
    connection = getattr(raw, "_connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        sock.settimeout(seconds)
