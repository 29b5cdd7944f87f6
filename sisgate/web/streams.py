"""Answers of unknown length: server-sent events of a job, and datasets as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from sisgate.gateway import Gateway
from sisgate.web.schemas.jobs import JobDocument
from sisgate.web.waiting import WaitingRequests

EVENTS = "text/event-stream"
JSON_LINES = "application/jsonl"

PING_SECONDS = 15.0
"""How often a stream without news gets a comment, so that nothing between closes it."""

RETRY_MS = 2000
"""How soon a browser connects again."""

LINES_AT_ONCE = 500


ENDED = "ended"
"""Name and id of a job's last event: a browser that has it is told to connect no more."""


async def events_of(
    waiting: WaitingRequests, gateway: Gateway, job_id: str, last_id: str | None
) -> Response:
    """Return a stream of the job's events, 204 behind the last one (`last_id` is that of `ENDED`).

    Raises `UnknownJob` before it begins.
    """
    statuses = waiting.followed(gateway, job_id, PING_SECONDS)
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


async def json_lines(
    rows: Iterator[Any], as_json: Callable[[Any], dict[str, Any]], headers: dict[str, str]
) -> StreamingResponse:
    """Return a stream of rows, a line of JSON each, in constant memory.

    Reads the first rows before it begins, so that their errors have a status of their own. If a
    later row fails, the connection is closed in the middle: the answer is then not complete.
    """

    def line(row: Any) -> str:
        return json.dumps(as_json(row), default=str)

    return await _streamed(rows, line, headers)


async def text_lines(lines: Iterator[str]) -> StreamingResponse:
    """Return a stream of lines, byte for byte as they are, in the same way."""
    return await _streamed(lines, str, {})


async def _streamed(
    rows: Iterator[Any], line: Callable[[Any], str], headers: dict[str, str]
) -> StreamingResponse:
    pending = await run_in_threadpool(_chunk, rows, line)

    async def lines() -> AsyncIterator[bytes]:
        chunk = pending
        try:
            while chunk:
                yield chunk
                chunk = await run_in_threadpool(_chunk, rows, line)
        finally:
            # Writes the end of the disclosure into the audit log.
            if (close := getattr(rows, "close", None)) is not None:
                await run_in_threadpool(close)

    return StreamingResponse(lines(), media_type=JSON_LINES, headers=headers)


def _chunk(rows: Iterator[Any], line: Callable[[Any], str]) -> bytes:
    text = "".join(f"{line(row)}\n" for row in islice(rows, LINES_AT_ONCE))
    return text.encode("utf-8", "surrogateescape")
