"""Runs the service with uvicorn: bounded requests, and an end that open streams don't hold up."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from types import FrameType

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from sisgate.domain.network import is_loopback
from sisgate.errors import ConfigurationError, SisgateError
from sisgate.gateway import Gateway
from sisgate.gateway.sla import FEW
from sisgate.problem_details import MEDIA_TYPE
from sisgate.settings import Settings
from sisgate.web.app import create_app
from sisgate.web.errors import problem_of_http
from sisgate.web.guard import MOST_HEADER_BYTES

HEADER_SECONDS = 10.0
"""How long the headers of a request may take to arrive."""

STOP_SECONDS = 15
"""How long requests may take after a signal to stop. Those that wait are answered at once."""

STALL_SECONDS = 60.0
"""How long a client may take nothing of an answer that waits for it."""

KEEP_ALIVE_SECONDS = 65
"""Longer than the idle time of usual proxies, so that they close first."""


@contextmanager
def listening(settings: Settings, host: str, port: int) -> Iterator[Service]:
    """Return the service, listening; `Service.serve_until_stopped` runs it.

    Raises `ConfigurationError` if the port cannot be had, and for an address of other machines if
    no token is required.
    """
    if settings.access == "open" and not is_loopback(host):
        raise ConfigurationError(
            "Without tokens the service answers this machine only, so it does not listen on "
            f'{host}. Set access = "tokens" and give each app a token (`sisgate tokens add`).'
        )
    with _bound(host, port) as bound, closing(Gateway(settings)) as gateway:
        threading.Thread(target=_look_ahead, args=(gateway,), daemon=True).start()
        yield Service(create_app(gateway), bound)


def _look_ahead(gateway: Gateway) -> None:
    """Find out for a large fleet what its first visitor would wait for; later ones see the news."""
    with suppress(SisgateError):
        if len(gateway.providers.names()) > FEW:
            gateway.fleet.dashboard()
            gateway.sla.list()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ConfigurationError(
            f"{host}:{port} cannot be had: {error.strerror or error}. Choose another with --port."
        ) from error


class Service(uvicorn.Server):
    """uvicorn, which tells those who wait that it ends."""

    def __init__(self, app: FastAPI, bound: socket.socket) -> None:
        # Connections have it from their listener. asyncio sets it only on sockets made for TCP by
        # name; without it, a body after its headers waits 40 ms for a client's delayed ACK.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._app = app
        self._bound = bound
        proxies = list(app.state.shared.config.trusted_proxies)
        config = uvicorn.Config(
            app, http=BoundedProtocol, ws="none", lifespan="on", log_level="warning",
            log_config=None, access_log=False, server_header=False, proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
            h11_max_incomplete_event_size=2 * MOST_HEADER_BYTES,
            timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=STOP_SECONDS,
        )  # fmt: skip
        super().__init__(config)

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._bound.getsockname()[1]
        return port

    def serve_until_stopped(self) -> None:
        """Serve until SIGINT or SIGTERM, or until `should_exit` is set."""
        self.run(sockets=[self._bound])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in good order, at a second SIGINT at once; then return to whoever called."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer those who wait, then stop as uvicorn does."""
        self._app.state.shared.waiting.stop()
        self._app.state.console.stop()
        await super().shutdown(sockets)


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol with an end to waits for clients, and problem documents for bad HTTP."""

    _header_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        """Read what has arrived."""
        if self.conn.their_state is h11.IDLE and self._header_timer is None:
            self._expect_headers()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self._stop_stall_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for a client that takes its answer too slowly."""
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._stop_stall_timer()

    def _expect_taking(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stall_timer = self.loop.call_later(STALL_SECONDS, self._taking_late, left)

    def _taking_late(self, left: int) -> None:
        if self.transport.get_write_buffer_size() < left:
            self._expect_taking()
        else:
            self.transport.abort()  # `close` would wait until all is taken

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with a problem document, and close."""
        error = sys.exc_info()[1]
        status = getattr(error, "error_status_hint", 400) if error is not None else 400
        self._send_problem(status, "This is not a valid HTTP request.")

    def _send_problem(self, status: int, text: str) -> None:
        if self.cycle is not None:
            # The rest of a request that is being answered: its answer has nowhere to go now.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()
            return
        body = json.dumps(problem_of_http(status, text)).encode()
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        phrase = HTTPStatus(status).phrase.encode()
        events = [
            h11.Response(status_code=status, headers=headers, reason=phrase),
            h11.Data(data=body), h11.EndOfMessage(),
        ]  # fmt: skip
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _expect_headers(self) -> None:
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self._headers_late)

    def _headers_late(self) -> None:
        self._header_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
