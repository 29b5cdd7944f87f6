"""Connections whose answer begins in time, however slowly its head trickles in.

A socket's timeout bounds one read. A server that sends a byte of its head now and then meets it
each time, and `http.client` reads up to a hundred lines: that is not a deadline.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse


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
    """The adapter of requests, over these connections."""

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        """Make the pool manager with our pools."""
        super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]  # passed on as given
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
