"""The one gateway of a process, made when it is first needed and so after any fork."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from sisgate.gateway import Gateway

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 40
"""Threads that talk to ledger and Redis, apart from those of the app's own routes."""


class ProcessGateway:
    """A gateway for an app's event loop: its methods block, so they run in threads of their own.

    A gateway that was given is the app's to close; one that was made is closed here.
    """

    def __init__(self, gateway: Gateway | None = None, *, app: str | None = None) -> None:
        self._given = gateway
        self._app = app
        self._made: Gateway | None = None
        self._lock = threading.Lock()
        self._threads: anyio.CapacityLimiter | None = None

    async def get(self) -> Gateway:
        """Return the gateway; raises `ConfigurationError` if there is none to be made."""
        ready = self._given or self._made
        return ready if ready is not None else await self.run(self._make)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in a thread.

        A caller that is cancelled waits for its end: nothing that was begun is cut off.
        """
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(THREADS)
        call = functools.partial(function, *args, **kwargs)
        return await anyio.to_thread.run_sync(call, limiter=self._threads)

    async def close(self) -> None:
        """Close the gateway if it was made here."""
        made, self._made = self._made, None
        if made is not None:
            await self.run(made.close)

    def _make(self) -> Gateway:
        with self._lock:
            if self._made is None:
                self._made = Gateway.from_env(app=self._app)
            return self._made
