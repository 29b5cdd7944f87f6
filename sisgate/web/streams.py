"""Answers of unknown length: server-sent events of a job, and datasets as JSON Lines."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from sisgate.clock import SystemClock
from sisgate.errors import TooManyRequests
from sisgate.gateway import Gateway
from sisgate.web.schemas.jobs import JobDocument
from sisgate.web.waiting import WaitingRequests

CLOCK = SystemClock()

EVENTS = "text/event-stream"
JSON_LINES = "application/jsonl"

PING_SECONDS = 15.0
"""How often a stream without news gets a comment, so that nothing between closes it."""

RETRY_MS = 2000
"""How soon a browser connects again."""

LINES_AT_ONCE = 500

CHUNK_SECONDS = 0.5
"""Lines that take longer are sent one by one, as the steps of a long work are."""

MOST_STREAMS = 20
"""How many streams of lines the owner of a token may have at a time, in each process."""

WRITERS = 2
"""For how many streams lines are written at a time."""

ENDED = "ended"
"""Name and id of a job's last event: a browser that has it is told to connect no more."""


async def events_of(
    waiting: WaitingRequests,
    gateway: Gateway,
    again: Callable[[], Gateway],
    job_id: str,
    last_id: str | None,
) -> Response:
    """Return a stream of the job's events, 204 behind the last one (`last_id` is that of `ENDED`).

    `again` finds the caller anew: the stream ends within `PING_SECONDS` of a token's revocation.
    Raises `UnknownJob` before it begins.
    """
    statuses = waiting.followed(gateway, job_id, PING_SECONDS, again)
    first = await anext(statuses)
    if last_id == ENDED and first is not None and first.is_final:
        await statuses.aclose()
        return Response(status_code=204)

    async def events() -> AsyncIterator[str]:
        try:
            # With the first event: some clients take a `retry` of its own for an event.
            yield f"retry: {RETRY_MS}\n"
            status = first
            while True:
                if status is None:
                    yield ": still waiting\n\n"
                else:
                    name = f"{ENDED}\nid: {ENDED}" if status.is_final else "status"
                    data = JobDocument.of(status).model_dump_json()
                    yield f"event: {name}\ndata: {data}\n\n"
                status = await anext(statuses)
        except StopAsyncIteration:
            return
        finally:
            await statuses.aclose()

    return StreamingResponse(events(), media_type=EVENTS, headers={"X-Accel-Buffering": "no"})


class LineStreams:
    """The streams of lines of a process: a bounded number for each owner of tokens.

    Lines are written for few at a time, so that many readers leave threads and the processor to
    other requests. A reader that takes its time holds `LINES_AT_ONCE` lines in memory.
    """

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._writers = CapacityLimiter(WRITERS)

    @property
    def count(self) -> int:
        """How many are open."""
        return self._open.total()

    async def json(
        self,
        caller: Gateway,
        rows: Iterator[Any],
        as_json: Callable[[Any], dict[str, Any]],
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Return a stream of rows, a line of JSON each.

        Reads the first rows before it begins, so that their errors have a status of their own. If a
        later row fails, the connection is closed in the middle: the answer is then not complete.
        Raises `TooManyRequests` if the owner of the caller's token has as many already.
        """

        def line(row: Any) -> str:
            return json.dumps(as_json(row), default=str)

        return await self._streamed(caller, rows, line, headers or {})

    async def text(self, caller: Gateway, lines: Iterator[str]) -> Response:
        """Return a stream of lines, byte for byte as they are, in the same way."""
        return await self._streamed(caller, lines, str, {})

    async def _streamed(
        self,
        caller: Gateway,
        rows: Iterator[Any],
        line: Callable[[Any], str],
        headers: dict[str, str],
    ) -> Response:
        principal = await run_in_threadpool(caller.access.principal)
        owner = principal.name
        if self._open[owner] >= MOST_STREAMS:
            raise TooManyRequests(
                f"{MOST_STREAMS} streams of {owner} are open already. Read them to their end, or "
                "close them, before opening more.",
                seconds=1.0,
            )
        self._open[owner] += 1

        async def end() -> None:
            self._open[owner] -= 1
            # Writes the end of the disclosure into the audit log.
            if (close := getattr(rows, "close", None)) is not None:
                await run_in_threadpool(close)

        async def chunk() -> bytes:
            return await run_sync(_chunk, rows, line, limiter=self._writers)

        try:
            first = await chunk()
        except BaseException:
            await end()
            raise

        async def chunks(lines: bytes) -> AsyncIterator[bytes]:
            while lines:
                yield lines
                lines = await chunk()

        return _LinesResponse(chunks(first), end, headers)


class _LinesResponse(StreamingResponse):
    """A stream of lines. `end` is called once it is over, also if it has never begun."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        end: Callable[[], Awaitable[None]],
        headers: dict[str, str],
    ) -> None:
        super().__init__(chunks, media_type=JSON_LINES, headers=headers)
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._end()


def _chunk(rows: Iterator[Any], line: Callable[[Any], str]) -> bytes:
    lines, ends_at = [], CLOCK.monotonic() + CHUNK_SECONDS
    for row in rows:
        lines.append(f"{line(row)}\n")
        if len(lines) == LINES_AT_ONCE or CLOCK.monotonic() >= ends_at:
            break
    return "".join(lines).encode("utf-8", "surrogateescape")
