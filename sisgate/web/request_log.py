"""One event for each request that was answered, without what it asked for. Pure ASGI."""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sisgate.logs import get_logger
from sisgate.tracing import trace_id_of
from sisgate.web.identity import CALLER

log = get_logger()


class RequestLog:
    """Logs `request_answered` at level info, at level error what failed for our own fault.

    `route` is the pattern of the path, as paths and queries name students.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log its end."""
        if scope["type"] != "http" or not logging.getLogger().isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        loop, status = asyncio.get_running_loop(), 0
        begun = loop.time()

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            # It is answered further out.
            status = status or HTTPStatus.INTERNAL_SERVER_ERROR.value
            raise
        finally:
            write = log.error if status >= HTTPStatus.INTERNAL_SERVER_ERROR else log.info
            write(
                "request_answered",
                method=scope["method"],
                route=self._route_of(scope),
                status=status or None,
                ms=round(1000 * (loop.time() - begun), 1),
                app=_caller_of(scope),
                job=scope.get("path_params", {}).get("job_id"),
                trace=_trace_of(scope),
            )

    def _route_of(self, scope: Scope) -> str:
        """Return the pattern of the path, also of what was refused; of pages where they begin."""
        route = scope.get("route")
        if route is None:
            found = (each for each in self._routes if each.matches(scope)[0] is not Match.NONE)
            route = next(found, None)
        path = getattr(route, "path", None)
        return str(path) if path else "/" + scope["path"].lstrip("/").partition("/")[0][:40]


def _caller_of(scope: Scope) -> str | None:
    caller = scope.get(CALLER)
    return caller.access.principal().name if caller is not None else None


def _trace_of(scope: Scope) -> str | None:
    values = [value for name, value in scope["headers"] if name == b"traceparent"]
    return trace_id_of(values[0].decode("latin-1")) if len(values) == 1 else None
