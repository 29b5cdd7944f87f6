"""Requests that start in time, and responses bounded in time and size, whatever happens.

A socket's timeout bounds one read. A server that sends its head byte by byte never exceeds it, and
`http.client` reads up to a hundred lines: that is not a deadline.

Nothing bounds how long a process pauses between two steps: a machine is suspended, a container
frozen. So a caller that may send only until a certain time checks it once connected, directly
before the request is written (`checked_before_write`).
"""

import contextlib
import heapq
import itertools
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from requests import PreparedRequest, Response, Session, Timeout
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import ProxyError
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse, HTTPResponse

from sisgate.clock import Clock, SystemClock
from sisgate.domain.certificates import NoteCertificate, read_certificate
from sisgate.domain.network import Network, cure, tls_fault, why_unreachable

READ_CHUNK = 65_536

Check = Callable[[], None]
_CHECKS: ContextVar[tuple[Check, ...]] = ContextVar("checks_before_write", default=())


@contextlib.contextmanager
def checked_before_write(check: Check) -> Iterator[None]:
    """Call `check` before each request written inside the context; an error stops the request.

    It runs once connected, immediately before the write. Checks of outer contexts run first.
    """
    token = _CHECKS.set((*_CHECKS.get(), check))
    try:
        yield
    finally:
        _CHECKS.reset(token)


def check_before_write() -> None:
    """Run the checks of the contexts, for what sends requests in another way than a connection."""
    for check in _CHECKS.get():
        check()


class BodyTooLarge(ValueError):
    """A body above the limit. `size` is what the head declares, None without it."""

    def __init__(self, limit: int, size: int | None) -> None:
        super().__init__(f"more than {limit} bytes")
        self.size = size


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


class _Watchdog:
    """Cuts sockets whose time is over. One thread, which most deadlines never wake."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._watched: list[tuple[float, int, list[socket.socket]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="sisgate-watchdog", daemon=True).start()

    @contextlib.contextmanager
    def watch(self, sock: socket.socket, seconds: float) -> Iterator[None]:
        """Cut the socket if the body takes longer."""
        held, deadline = [sock], self._clock.monotonic() + seconds
        with self._changed:
            is_first = not self._watched or deadline < self._watched[0][0]
            heapq.heappush(self._watched, (deadline, next(self._numbers), held))
            if is_first:
                self._changed.notify()
        try:
            yield
        finally:
            held.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._watched and not self._watched[0][2]:
                    heapq.heappop(self._watched)
                left = None
                if self._watched:
                    left = self._watched[0][0] - self._clock.monotonic()
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                held = heapq.heappop(self._watched)[2]
            for sock in held[:]:
                _cut(sock)


_WATCHDOGS: dict[int, _Watchdog] = {}
"""By process: a thread does not survive a fork."""


def _watchdog() -> _Watchdog:
    process = os.getpid()
    found = _WATCHDOGS.get(process)
    if found is None:
        found = _WATCHDOGS.setdefault(process, _Watchdog())
    return found


class _Bounded(HTTPConnection):
    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        """Write the head of the request, unless a check stops it."""
        if _CHECKS.get() and self.sock is None:
            self.connect()
        check_before_write()
        super().endheaders(*args, **kwargs)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        """Read the whole head of the response within the connection's timeout."""
        if not isinstance(self.timeout, int | float) or self.sock is None:
            return super().getresponse()
        with _watchdog().watch(self.sock, self.timeout):
            return super().getresponse()


class _BoundedTls(_Bounded, HTTPSConnection):
    note_certificate: NoteCertificate | None = None

    def connect(self) -> None:
        """Connect, and note the server's certificate."""
        super().connect()
        if self.note_certificate is None or not isinstance(self.sock, ssl.SSLSocket):
            return
        host, port = getattr(self, "_tunnel_host", None), getattr(self, "_tunnel_port", None)
        shown = self.sock.getpeercert()
        if seen := read_certificate(host or self.host, port or self.port, shown):
            self.note_certificate(seen)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTls
    note_certificate: NoteCertificate | None = None

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        connection.note_certificate = self.note_certificate
        return connection


POOLS = {"http": _Pool, "https": _TlsPool}


class BoundedAdapter(HTTPAdapter):
    """The adapter of requests, over connections whose response starts in time.

    All requests of one have the same `verify` and `cert`, and those to an origin the same proxy, so
    what an origin needs is found out once, and kept for the `pool_connections` last used.
    """

    def __init__(
        self, *, pool_connections: int, note_certificate: NoteCertificate | None, **kwargs: Any
    ) -> None:
        self._note_certificate = note_certificate
        self._pools: dict[str, Any] = {}
        self._most = pool_connections
        super().__init__(pool_connections=pool_connections, **kwargs)

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> Any:
        """Return the connections to the origin of a request."""
        url = str(request.url)
        origin = url[: url.find("/", len("https://"))]
        found: Any = self._pools.pop(origin, None)
        if found is None:
            found = super().get_connection_with_tls_context(request, *args, **kwargs)
            found.note_certificate = self._note_certificate
        self._pools[origin] = found  # last, as the one that was used last
        if len(self._pools) > self._most:
            del self._pools[next(iter(self._pools))]
        return found

    def close(self) -> None:
        """Close all connections: those that nothing refers to any more are closed."""
        self._pools.clear()
        super().close()

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        """Set the certificates of an origin's connections, the first time."""
        if not getattr(conn, "is_set_up", False):
            super().cert_verify(conn, *args, **kwargs)  # type: ignore[no-untyped-call]
            conn.is_set_up = True

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Return the response without looking for cookies or an encoding."""
        response = Response()
        response.status_code, response.reason, response.raw = resp.status, resp.reason, resp
        response.headers = CaseInsensitiveDict(resp.headers)  # lines of one name joined
        response.url, response.request = str(req.url), req
        return response

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        """Create the pool manager with our pools."""
        super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]  # passed on as given
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        """Return the manager of a proxy's connections, with our pools."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager


class BoundedSession(Session):
    """A session over one `Network` that follows no redirect and ignores the environment.

    `requests` reads the body of a redirect, however long, even when not following it. A netrc must
    not replace a provider's credentials.
    """

    def __init__(
        self,
        network: Network | None = None,
        *,
        connections: int = 10,
        connections_kept: int = 10,
        note_certificate: NoteCertificate | None = None,
    ) -> None:
        super().__init__()
        self.network = network or Network()
        self.trust_env = False
        if self.network.ca_file is not None:
            self.verify = str(self.network.ca_file)
        if self.network.client_cert is not None:
            key = self.network.client_key or self.network.client_cert
            self.cert = (str(self.network.client_cert), str(key))
        adapter = BoundedAdapter(
            pool_connections=connections,
            pool_maxsize=connections_kept,
            max_retries=0,
            note_certificate=note_certificate,
        )
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, method: str, url: str, **kwargs: Any) -> Response:  # type: ignore[override]  # only what we use
        """Send a request, through the proxy where there is one for the URL."""
        proxy = self.network.proxy_for(url)
        proxies = {"https": proxy} if proxy is not None else None
        return super().request(method, url, proxies=proxies, **kwargs)

    def send_once(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        data: bytes | None = None,
        json: Any = None,
        auth: AuthBase | None = None,
        timeout: tuple[float, float],
    ) -> Response:
        """Send a request as `request` does, in a third of the time; the body is still to be read.

        It keeps no cookies, runs no hooks and merges nothing but the session's headers.
        """
        request = PreparedRequest()
        request.method = method
        request.prepare_url(url, None)
        request.prepare_headers(CaseInsensitiveDict({**self.headers, **headers}))
        request.prepare_body(data, None, json)
        if auth is not None:
            request.prepare_auth(auth)
        proxy = self.network.proxy_for(url)
        return self.get_adapter(url).send(
            request,
            stream=True,
            timeout=timeout,
            verify=self.verify if self.verify is not None else True,
            cert=self.cert,
            proxies={"https": proxy} if proxy is not None else None,
        )

    def get_redirect_target(self, resp: Response) -> str | None:
        """Return None: no response is a redirect."""
        return None


def network_failure(error: Exception, network: Network) -> tuple[str, dict[str, Any]] | None:
    """Return the message and detail of a failure by TLS or the proxy; None for any other.

    The detail has `sent` False where the request cannot have left.
    """
    ids: dict[str, Any]
    if isinstance(error, ProxyError):
        match = re.search(r"Tunnel connection failed: (\d{3})", str(error))
        status = int(match[1]) if match else None
        if status == 407:
            what = "wants another user name and password: correct them in `proxy` or HTTPS_PROXY"
        elif status is not None:
            what = f"answered {status} and does not connect us"
        else:
            what = f"cannot be reached ({why_unreachable(error)}): check `proxy` or HTTPS_PROXY"
        ids = {"sent": False, "proxy": network.proxy_place, "proxy_status": status}
        return f"The proxy {network.proxy_place} {what}.", ids
    fault = tls_fault(error)
    if fault is None:
        return None
    remedy = cure(fault, ca_file="`ca_file` of the provider", client_cert="`client_cert`")
    ids = {"tls": fault.name.lower()}
    if fault.is_certificate:
        ids["sent"] = False
    return f"{fault.value[:1].upper()}{fault.value[1:]}. {remedy}", ids


def read_within(raw: BaseHTTPResponse, clock: Clock, deadline: float, limit: int) -> bytes:
    """Return the body of a streamed response; `deadline` is by the monotonic clock.

    Raises `requests.Timeout` at the deadline, `BodyTooLarge` beyond `limit` bytes, and what urllib3
    raises for a truncated or malformed body. A body declared as too large is not read at all.
    """
    declared = _declared_size(raw)
    if declared is not None and declared > limit:
        raise BodyTooLarge(limit, declared)
    # read1 returns what has arrived, so the deadline is checked even while bytes trickle in.
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
            raise BodyTooLarge(limit, None)
        chunks.append(chunk)


def _declared_size(raw: BaseHTTPResponse) -> int | None:
    """Return the length that the head declares; None without one or for a compressed body."""
    text = raw.headers.get("content-length", "")
    if raw.headers.get("content-encoding") or not (text.isascii() and text.isdigit()):
        return None
    return int(text[:18])


def _set_timeout(raw: BaseHTTPResponse, seconds: float) -> None:
    connection = getattr(raw, "_connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        sock.settimeout(seconds)
