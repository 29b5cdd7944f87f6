"""Bad answers on purpose: resets, cuts, drips and answers that never come."""

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sisgate.sandbox.knobs import Fault, Knobs

TRANSPORT = "sandbox.transport"
"""Where the server puts the connection's asyncio transport in the ASGI scope."""

_TICK_SECONDS = 0.05


class FaultQueue:
    """The faults that wait for the next calls. Repeatable: the seed decides `error_rate`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._waiting: deque[tuple[Fault, int]] = deque()

    def load(self, faults: Iterable[Fault]) -> None:
        """Replace what waits."""
        self._waiting = deque((fault, fault.times) for fault in faults)

    def __len__(self) -> int:
        return sum(times for _, times in self._waiting)

    def next_for(self, path: str) -> Fault | None:
        """Take the first waiting fault that fits a path."""
        for place, (fault, times) in enumerate(self._waiting):
            if fault.path in path:
                if times > 1:
                    self._waiting[place] = (fault, times - 1)
                else:
                    del self._waiting[place]
                return fault
        return None

    def by_chance(self, knobs: Knobs) -> Fault | None:
        """Return a fault as often as `error_rate` says."""
        if knobs.error_rate and self._random.random() < knobs.error_rate:
            return Fault(status=self._random.choice(knobs.error_statuses))
        return None

    def latency_seconds(self, knobs: Knobs) -> float:
        """Return how long this call is held."""
        value = knobs.latency_ms
        low, high = value if isinstance(value, tuple) else (value, value)
        return (low if low == high else self._random.uniform(low, high)) / 1000


async def _recorded(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """Let `app` answer and return the start message and the body it would have sent."""
    start: dict[str, Any] = {}
    body = bytearray()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, keep)
    return start, bytes(body)


async def misbehave(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer by `app`, the way the fault says. For all kinds but `status` and `html`."""
    transport: asyncio.Transport = scope[TRANSPORT]
    if fault.kind == "reset":
        reset(transport)
    elif fault.kind == "hang":
        await _until_gone(receive)
    elif fault.kind == "malformed":
        _, body = await _recorded(app, scope, receive)
        cut = Response(body[: max(1, len(body) * 2 // 3)], media_type="application/json")
        await cut(scope, receive, send)
    else:
        start, body = await _recorded(app, scope, receive)
        await send(start)
        if fault.kind == "slow":
            await _drip(body, fault.bytes_per_second, transport, send)
        else:
            await send(_chunk(body[: len(body) // 2], more=True))
            transport.close()


def reset(transport: asyncio.Transport) -> None:
    """End the connection with RST instead of FIN."""
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def _chunk(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _drip(body: bytes, speed: int, transport: asyncio.Transport, send: Send) -> None:
    step = max(1, int(speed * _TICK_SECONDS))
    for start in range(0, len(body), step):
        if transport.is_closing():
            return
        await send(_chunk(body[start : start + step], more=True))
        await asyncio.sleep(step / speed)
    await send(_chunk(b"", more=False))


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
