"""uvicorn around an app, in a thread."""

import socket
import threading
from collections.abc import Callable
from typing import Any, Self

import uvicorn

from sisgate.clock import SystemClock, poll_until

CLOCK = SystemClock()


class AsgiServer:
    """Serves an ASGI app on the loopback interface within its context."""

    def __init__(self, app: Callable[..., Any], *, root_path: str = "") -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            app, log_level="warning", root_path=root_path, lifespan="on", ws="none",
            timeout_graceful_shutdown=5,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        poll_until(
            lambda: self._server.started or not self._thread.is_alive(),
            clock=CLOCK,
            timeout_seconds=60,
        )
        assert self._server.started
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()
        assert not self._thread.is_alive()
