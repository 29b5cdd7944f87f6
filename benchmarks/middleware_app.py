"""The app of `middleware`: the middleware over a stack's gateway, each step stamped."""

import contextvars
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sisgate import Gateway
from sisgate.integrations.awaiting import Threads
from sisgate.integrations.fastapi import CallOptions, SISGateMiddleware

Stamps = dict[str, Any]

GATEWAY = Gateway.from_env(app="portal")
STAMPS: list[Stamps] = []
CURRENT: contextvars.ContextVar[Stamps] = contextvars.ContextVar("stamps")


def now() -> float:
    """Return the fleet's time, which the ledger's times are of, too."""
    return GATEWAY.context.clock.now().timestamp()


class Stamping:
    """Notes when a request came, and when its response began."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stamps: Stamps = {}
        token = CURRENT.set(stamps)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = {name.decode(): text.decode() for name, text in message["headers"]}
                stamps["responded"], stamps["job"] = now(), headers.get("x-sis-job")
                STAMPS.append(stamps)
            await send(message)

        if scope["type"] == "http":
            stamps["came"] = now()
        try:
            await self._app(scope, receive, sending)
        finally:
            CURRENT.reset(token)


run = Threads.run


async def stamped(process: Threads, function: Callable[..., Any], *args: Any, **words: Any) -> Any:
    """Note when a blocking step was wanted, begun and done."""
    inner = function.func if isinstance(function, partial) else function
    stamps = CURRENT.get({})

    def timed() -> Any:
        stamps[f"{inner.__name__} begun"] = now()
        try:
            return function(*args, **words)
        finally:
            stamps[f"{inner.__name__} done"] = now()

    stamps[f"{inner.__name__} wanted"] = now()
    return await run(process, timed)


patch.object(Threads, "run", stamped).start()
app = FastAPI()
app.add_middleware(
    SISGateMiddleware, gateway=GATEWAY, options=CallOptions(timeout=30.0, longest_timeout=30.0)
)
app.add_middleware(Stamping)


@app.get("/stamps")
def stamps() -> list[Stamps]:
    """Return the stamps since the last time."""
    taken = [each for each in STAMPS if each.get("job")]
    STAMPS.clear()
    return taken
