"""Keeping pages up to date: one stream of server-sent events for each open tab.

A stream is about one page: its address is asked for again every few seconds, and its block `live`
is sent when it has changed. Visitors with the same rights who see the same page share the work, and
all pages together have a share of the processor.
Events: `begun` with the version of the static files, which a restart may have changed; `stale`
with the reason why the page is not renewed for now, `current` once it is; `ended` to reload it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from sisgate.clock import thread_seconds
from sisgate.console.rooms import ConsoleRoute, Visit
from sisgate.errors import AccessDenied, NotAuthenticated, NotFound, SisgateError, UsageError
from sisgate.gateway import Gateway, Role

EVERY_SECONDS = 2.0
LONGEST_SECONDS = 45.0
SHARE = 0.07
"""Of a core, which renewing all open pages may take: the more and the costlier they are, the less
often each is renewed, but not less than every `LONGEST_SECONDS`."""

MOST_STREAMS = 12
"""Open streams of one visitor: more tabs than a person watches."""

PING_TURNS = 8
"""Turns without news after which a comment is sent, so that nothing between closes the stream."""


Rights = tuple[object, ...]

Key = tuple[Rights, str]
"""What visitors share: their rights, and the address of a page."""

Render = Callable[[ConsoleRoute, Visit], str | None]
"""Returns the block `live` of a page as it is now; None if it has none."""


class PageStream(StreamingResponse):
    """A stream of events. `ended` is called once it is over, also if it has never begun."""

    def __init__(self, events: AsyncIterator[str], ended: Callable[[], None]) -> None:
        headers = {"X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


class Streams:
    """The open streams of a console."""

    def __init__(
        self,
        routes: Sequence[ConsoleRoute],
        visitor: Callable[[Request], Awaitable[Gateway]],
        render: Render,
        assets: str,
    ) -> None:
        self._routes = [(each, compile_path(each.path)) for each in routes if each.method == "GET"]
        self._visitor = visitor
        self._render = render
        self._assets = assets
        self._open: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._kept: dict[Key, tuple[float, asyncio.Task[str | None]]] = {}
        self._costs: dict[Key, float] = {}
        """Processor seconds of the last renewal of each page."""

    def stop(self) -> None:
        """End all streams."""
        self._stopping.set()

    async def open(self, request: Request) -> Response:
        """Answer with the stream of one page."""
        gateway = await self._visitor(request)
        address = request.query_params.get("of", "/")
        route, visit = self._find(gateway, address)
        name = gateway.access.principal().actor
        if self._open[name] >= MOST_STREAMS:
            return PlainTextResponse("Too many tabs follow pages: close some.", 429)
        self._open[name] += 1  # before anything is waited for: many may ask at a time
        try:
            first = await self._fragment(route, visit, address)
        except BaseException:
            self._ended(name)
            raise
        stream = self._follow(request, route, address, first)
        return PageStream(stream, lambda: self._ended(name))

    def _ended(self, name: str) -> None:
        self._open[name] -= 1
        if not self._open[name]:
            del self._open[name]

    def _find(self, gateway: Gateway, address: str) -> tuple[ConsoleRoute, Visit]:
        path, _, query = address.partition("?")
        for route, (pattern, _, converters) in self._routes:
            if match := pattern.match(path):
                places = {k: converters[k].convert(v) for k, v in match.groupdict().items()}
                return route, Visit(gateway, QueryParams(query), places)
        raise UsageError("There is no such page to follow.")

    async def _follow(
        self, request: Request, route: ConsoleRoute, address: str, first: str | None
    ) -> AsyncIterator[str]:
        sent, quiet, is_stale = None, 0, False
        fresh = first
        yield _message(self._assets, "begun")
        while not self._stopping.is_set():
            if fresh is not None and fresh != sent:
                yield _message(fresh)
                sent, quiet = fresh, 0
            else:
                quiet += 1
                if quiet % PING_TURNS == 0:
                    yield ": nothing new\n\n"
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._turn())
                return
            try:
                gateway = await self._visitor(request)
                _, visit = self._find(gateway, address)
                fresh = await self._fragment(route, visit, address)
                if is_stale:
                    yield _message("", "current")
                is_stale = False
            except (NotAuthenticated, AccessDenied, NotFound):
                yield _message("reload", "ended")
                return
            except SisgateError as error:
                fresh = None  # an outage: the page stays as it is until it is over
                if not is_stale:
                    yield _message(error.message, "stale")
                is_stale = True

    async def _fragment(self, route: ConsoleRoute, visit: Visit, address: str) -> str | None:
        """Return the fragment of a page, at most one turn old."""
        loop = asyncio.get_running_loop()
        key = _rights_of(visit.gateway), address
        kept = self._kept.get(key)
        if kept is not None and loop.time() - kept[0] < self._turn() * 0.9:
            return await asyncio.shield(kept[1])
        # A task of its own: whoever began it may close the tab while others wait for it.
        future = loop.create_task(run_in_threadpool(self._renewed, key, route, visit))
        self._kept[key] = loop.time(), future
        for old in [k for k, (at, _) in self._kept.items() if loop.time() - at > 60]:
            del self._kept[old]
            self._costs.pop(old, None)
        return await asyncio.shield(future)

    def _renewed(self, key: Key, route: ConsoleRoute, visit: Visit) -> str | None:
        begun = thread_seconds()
        try:
            return self._render(route, visit)
        finally:
            self._costs[key] = thread_seconds() - begun

    def _turn(self) -> float:
        """Return after how many seconds a page is renewed."""
        return min(LONGEST_SECONDS, max(EVERY_SECONDS, sum(list(self._costs.values())) / SHARE))


def _rights_of(gateway: Gateway) -> Rights:
    """Return what decides what a visitor is shown: an app sees its own jobs only."""
    principal = gateway.access.principal()
    name = principal.name if Role.APP in principal.roles else ""
    return principal.roles, principal.scopes, name


def _message(text: str, event: str = "") -> str:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return (f"event: {event}\n" if event else "") + lines + "\n"
