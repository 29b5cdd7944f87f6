"""The readiness of the service, kept for a second, so that strangers cannot wear the ledger out."""

import asyncio

from starlette.concurrency import run_in_threadpool

from sisgate.gateway import Gateway, Readiness

KEPT_SECONDS = 1.0


class KeptReadiness:
    """Reads the readiness at most once in `KEPT_SECONDS`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lock = asyncio.Lock()
        self._kept: tuple[float, Readiness] | None = None

    async def read(self) -> Readiness:
        """Return what is known, read anew if it is older."""
        now = asyncio.get_running_loop().time()
        async with self._lock:
            if self._kept is None or now - self._kept[0] > KEPT_SECONDS:
                readiness = await run_in_threadpool(self._gateway.fleet.readiness)
                self._kept = asyncio.get_running_loop().time(), readiness
            return self._kept[1]
