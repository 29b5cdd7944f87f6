"""The HTTP service on a real port, in a thread."""

import socket
import threading
from typing import Any, Self

import requests

from sisgate import Gateway
from sisgate.clock import SystemClock, poll_until
from sisgate.web import create_app
from sisgate.web.server import Service

CLOCK = SystemClock()


class WebService:
    """Serves a gateway within its context. `ask` sends a request, with a token or without."""

    def __init__(self, gateway: Gateway) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.gateway = gateway
        self.app = create_app(gateway)
        self.server = Service(self.app, self._socket)
        self.port = self.server.port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.server.serve_until_stopped, daemon=True)
        self._session = requests.Session()

    def __enter__(self) -> Self:
        self._thread.start()
        poll_until(
            lambda: self.server.started or not self._thread.is_alive(),
            clock=CLOCK, timeout_seconds=60,
        )  # fmt: skip
        assert self.server.started
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        self.stop()
        self._thread.join(30)
        self._socket.close()
        assert not self._thread.is_alive()

    def stop(self) -> None:
        """Let it stop, as a signal does."""
        self.server.should_exit = True

    def ask(
        self, method: str, path: str, *, token: str | None = None, **arguments: Any
    ) -> requests.Response:
        headers = dict(arguments.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self._session.request(
            method, f"{self.url}{path}", headers=headers, timeout=30, **arguments
        )

    def raw(self, data: bytes, seconds: float = 10.0) -> bytes:
        """Send bytes and return everything that comes back until the service closes."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            connection.sendall(data)
            received = b""
            while chunk := connection.recv(65_536):
                received += chunk
        return received
