"""Requests that wait for the end of a job, without a thread or a connection each."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from sisgate.errors import NotAuthenticated, TooManyRequests
from sisgate.gateway import Gateway, JobStatus
from sisgate.gateway.event_loop import woken_by

Gone = Callable[[], Awaitable[object]]
"""Returns once the caller has gone away."""


class WaitingRequests:
    """All requests of a process that wait. `stop` ends them: the service is shutting down."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.count = 0
        self._ending = asyncio.Event()

    def stop(self) -> None:
        """Answer everybody who waits with what is known now."""
        self._ending.set()

    async def ended(
        self, gateway: Gateway, job_id: str, seconds: float, gone: Gone | None = None
    ) -> JobStatus:
        """Return the status of a job once it has ended, after `seconds`, or when all stop.

        Raises `UnknownJob`, and `TooManyRequests` where too many wait already.
        """
        if seconds <= 0:
            return await run_in_threadpool(gateway.jobs.status, job_id)
        deadline = asyncio.get_running_loop().time() + seconds
        with self._counted(), woken_by(gateway, job_id) as woken:
            status = await run_in_threadpool(gateway.jobs.status, job_id)
            while not status.is_final:
                left = deadline - asyncio.get_running_loop().time()
                if not await self._first(woken, left, gone):
                    break
                status = await run_in_threadpool(gateway.jobs.status, job_id)
            return status

    async def followed(
        self, gateway: Gateway, job_id: str, pause_seconds: float, again: Callable[[], Gateway]
    ) -> AsyncGenerator[JobStatus | None]:
        """Yield the status of a job now and at its end, and None after each pause.

        Ends without a final status when all stop, and when `again`, which finds the caller anew
        before anything more is told, raises `NotAuthenticated`: the token was revoked meanwhile.
        """
        with self._counted(), woken_by(gateway, job_id) as woken:
            status = await run_in_threadpool(gateway.jobs.status, job_id)
            yield status
            while not status.is_final:
                is_woken = await self._first(woken, pause_seconds)
                if not is_woken and self._ending.is_set():
                    return
                try:
                    gateway = await run_in_threadpool(again)
                except NotAuthenticated:
                    return
                if not is_woken:
                    yield None
                    continue
                status = await run_in_threadpool(gateway.jobs.status, job_id)
                if status.is_final:
                    yield status

    async def _first(self, woken: asyncio.Event, seconds: float, gone: Gone | None = None) -> bool:
        """Return True when woken; False after `seconds`, without a caller, or at the end."""
        if self._ending.is_set() or seconds <= 0:
            return False
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(event.wait()) for event in (woken, self._ending)
        ]
        if gone is not None:
            waits.append(asyncio.ensure_future(gone()))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        is_woken = woken.is_set()
        woken.clear()
        return is_woken

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self.count >= self._most:
            raise TooManyRequests(
                f"{self.count} requests wait already. Ask again without waiting, or later.",
                seconds=1.0,
            )
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


def until_gone(request: Request) -> Gone:
    """Return a function that returns once the caller has gone away."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return gone
