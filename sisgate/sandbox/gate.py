"""The way of a call through a district's port: counted, judged, delayed, failed or served."""

import asyncio
import math
import time

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sisgate.sandbox.district import District
from sisgate.sandbox.faults import misbehave
from sisgate.sandbox.knobs import Fault
from sisgate.sandbox.vendor import VendorServer, fault_reply

REQUEST_ID = "x-request-id"
MAX_TEMPLATES = 500
UNKNOWN = "(no such resource)"
_ANSWERED = ("status", "html")


class FaultMiddleware:
    """The ASGI application of one district."""

    def __init__(self, district: District, dialect: VendorServer, control: ASGIApp) -> None:
        self._district = district
        self._dialect = dialect
        self._control = control
        self._serial = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request: control plane, token endpoint or a call."""
        if scope["type"] != "http":
            return
        arrived = time.monotonic()
        path: str = scope["path"]
        if path == "/sandbox" or path.startswith("/sandbox/"):
            await self._control(scope, receive, send)
        elif path in self._dialect.token_paths:
            await self._token(scope, receive, self._counting(scope, send, arrived))
        else:
            await self._call(arrived, scope, receive, self._counting(scope, send, arrived))

    async def _token(self, scope: Scope, receive: Receive, send: Send) -> None:
        district = self._district
        district.stats.token_calls += 1
        await self._serve(
            district.token_faults.next_for(scope["path"]), self._token_app, scope, receive, send
        )

    async def _token_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await self._dialect.token(Request(scope, receive))
        await reply(scope, receive, send)

    async def _call(self, arrived: float, scope: Scope, receive: Receive, send: Send) -> None:
        """Stamp the arrival before anything else, then judge it, then serve it."""
        district, stats = self._district, self._district.stats
        stats.arrivals.append(arrived)
        wait = district.window.arrive(arrived)
        refusal = self._throttle(arrived, wait)
        stats.in_flight += 1
        stats.max_in_flight = max(stats.max_in_flight, stats.in_flight)
        try:
            if refusal is not None:
                await refusal(scope, receive, send)
                return
            delay = district.faults.latency_seconds(district.knobs)
            if delay:
                await asyncio.sleep(delay)
            fault = district.faults.next_for(scope["path"])
            fault = fault or district.faults.by_chance(district.knobs)
            await self._serve(fault, self._authorized, scope, receive, send)
        finally:
            stats.in_flight -= 1
            template = _template(scope)
            # A scanner's paths must not fill the memory.
            known = template in stats.calls or len(stats.calls) < MAX_TEMPLATES
            stats.calls[template if known else UNKNOWN] += 1

    def _throttle(self, arrived: float, wait: float) -> Response | None:
        district, dialect = self._district, self._dialect
        if wait:
            district.stats.refused.append(arrived)
            reply = dialect.error(429, "Too many requests: the quota is used up.", "server_busy")
            reply.headers["retry-after"] = str(math.ceil(wait))
            return reply
        interval, last = district.knobs.min_interval_seconds, district.last_call_at
        if interval and last is not None and arrived - last < interval:
            seconds = math.ceil(last + interval - arrived)
            return dialect.error(429, f"too many requests, wait {seconds} seconds", "server_busy")
        district.last_call_at = arrived
        return None

    async def _authorized(self, scope: Scope, receive: Receive, send: Send) -> None:
        denied = self._dialect.authorize(scope)
        await (denied or self._dialect.app)(scope, receive, send)

    async def _serve(
        self, fault: Fault | None, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if fault is None:
            await app(scope, receive, send)
        elif fault.kind in _ANSWERED:
            await fault_reply(self._dialect, fault)(scope, receive, send)
        else:
            await misbehave(fault, app, scope, receive, send)

    def _counting(self, scope: Scope, send: Send, arrived: float) -> Send:
        """Wrap `send`: every answer carries a request id and is counted by status."""
        self._serial += 1
        request_id = f"{self._district.spec.name}-{self._serial:08d}"
        is_call = scope["path"] not in self._dialect.token_paths
        stats = self._district.stats

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
                if is_call:
                    stats.statuses[str(message["status"])] += 1
            await send(message)

        return counted


def _template(scope: Scope) -> str:
    """Return the method and the path with `{name}` in the places of row ids."""
    if "endpoint" not in scope:
        return UNKNOWN
    parameters = scope.get("path_params") or {}
    ids = {str(value): name for name, value in parameters.items() if name.endswith("_id")}
    parts = (f"{{{ids[part]}}}" if part in ids else part for part in scope["path"].split("/"))
    return f"{scope['method']} {'/'.join(parts)}"
