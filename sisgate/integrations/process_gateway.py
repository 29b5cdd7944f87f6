"""The one gateway of a process, made when it is first needed and so after any fork."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from sisgate.gateway import Gateway
from sisgate.integrations.awaiting import Awaiting, InProcess, OverHttp, Threads
from sisgate.settings.service import service_url

if TYPE_CHECKING:
    from sisgate.client import HttpGateway

P = ParamSpec("P")
T = TypeVar("T")


class ProcessGateway:
    """A gateway for an app's event loop: its methods block, so they run in threads of their own.

    Without one that is given, it is that of `SISGATE_URL`, or else of this process's settings. A
    gateway that was given is the app's to close; one that was made is closed here.
    """

    def __init__(
        self, gateway: Gateway | HttpGateway | None = None, *, app: str | None = None
    ) -> None:
        self._given = gateway
        self._app = app
        self._made: Gateway | HttpGateway | None = None
        self._awaiting: Awaiting | None = None
        self._lock = threading.Lock()
        self._threads = Threads()

    async def get(self) -> Gateway | HttpGateway:
        """Return the gateway; raises `ConfigurationError` if there is none to be made."""
        ready = self._given or self._made
        return ready if ready is not None else await self.run(self._make)

    async def awaiting(self) -> Awaiting:
        """Return what accepts requests and waits for their answers."""
        if self._awaiting is None:
            gateway = await self.get()
            if isinstance(gateway, Gateway):
                self._awaiting = InProcess(gateway, self._threads)
            else:
                self._awaiting = OverHttp(gateway)
        return self._awaiting

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in a thread."""
        return await self._threads.run(function, *args, **kwargs)

    async def close(self) -> None:
        """Close the gateway if it was made here."""
        made, self._made, self._awaiting = self._made, None, None
        if made is not None:
            await self.run(made.close)

    def _make(self) -> Gateway | HttpGateway:
        with self._lock:
            if self._made is None:
                self._made = self._from_env()
            return self._made

    def _from_env(self) -> Gateway | HttpGateway:
        if service_url() is None:
            return Gateway.from_env(app=self._app)
        from sisgate.client import HttpGateway

        return HttpGateway.from_env()
