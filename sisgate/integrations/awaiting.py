"""Accepting a request and waiting for its answer: in this process, or by the HTTP service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import anyio
import anyio.to_thread

from sisgate.errors import JobCancelled, JobExpired
from sisgate.gateway import Answer, Gateway, Job, NewRequest
from sisgate.gateway.job_status import answer_if_ended

if TYPE_CHECKING:
    from sisgate.client import HttpGateway

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 40
"""Threads that talk to ledger and Redis or to the service, apart from those of the routes."""

WAITING_THREADS = 400
"""Callers that wait at a time where the service answers: each takes a thread and a connection."""


class Awaiting(Protocol):
    """What of a gateway differs for callers that wait in an event loop."""

    async def enqueue(
        self, new: NewRequest, deadline: float, purpose: str | None
    ) -> tuple[Job, Answer | None]:
        """Accept a request that has a job id; return its job, and the answer if that comes in time.

        `deadline` is a time of the loop. The call of another job is not waited for. Raises why
        there is no answer.
        """
        ...

    async def answer_by(self, deadline: float, job_id: str, purpose: str | None) -> Answer | None:
        """Return the answer of a job once it has ended; None if that takes too long."""
        ...

    async def request(self, new: NewRequest, deadline: float, purpose: str | None) -> Answer:
        """Return the answer of a request, as `Gateway.request` does: perhaps an old one."""
        ...


class Threads:
    """Runs what blocks in threads, so many at a time."""

    def __init__(self, most: int = THREADS) -> None:
        self._most = most
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in a thread.

        A caller that is cancelled waits for its end: nothing that was begun is cut off.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._most)
        call = partial(function, *args, **kwargs)
        return await anyio.to_thread.run_sync(call, limiter=self._limiter)


class InProcess:
    """Waits on the one subscription of the process, without a thread or connection each."""

    def __init__(self, gateway: Gateway, threads: Threads) -> None:
        self._gateway = gateway
        self._threads = threads

    async def enqueue(
        self, new: NewRequest, deadline: float, purpose: str | None
    ) -> tuple[Job, Answer | None]:
        """See `Awaiting.enqueue`."""
        from sisgate.gateway.event_loop import woken_by

        assert new.job_id is not None
        # Watched before it is accepted, so that no end of it can be missed.
        with woken_by(self._gateway, new.job_id) as woken:
            job = await self._threads.run(self._gateway.enqueue_request, **_arguments(new))
            if job.origin != "call":
                return job, None
            return job, await self._answer_when(woken, deadline, job.id, purpose)

    async def answer_by(self, deadline: float, job_id: str, purpose: str | None) -> Answer | None:
        """See `Awaiting.answer_by`."""
        from sisgate.gateway.event_loop import woken_by

        with woken_by(self._gateway, job_id) as woken:
            woken.set()  # it may have ended before it was watched
            return await self._answer_when(woken, deadline, job_id, purpose)

    async def request(self, new: NewRequest, deadline: float, purpose: str | None) -> Answer:
        """See `Awaiting.request`."""
        pending = await self._threads.run(self._gateway.requests.begin, new)
        while True:
            has_ended = pending.job.origin == "stored"
            has_ended = has_ended or await self._has_ended_by(deadline, pending.job.id)
            conclude = partial(pending.answer, has_ended=has_ended, purpose=purpose)
            try:
                return await self._threads.run(conclude)
            except (JobExpired, JobCancelled):
                left = _left(deadline)
                if not pending.is_shared or left <= 0:
                    raise
            # Whoever made the call waits no longer; this caller does.
            pending = await self._threads.run(pending.alone, left)

    async def _has_ended_by(self, deadline: float, job_id: str) -> bool:
        from sisgate.gateway.event_loop import woken_by

        with woken_by(self._gateway, job_id) as woken:
            woken.set()  # it may have ended before it was watched
            while await _is_set_by(woken, deadline):
                woken.clear()
                status = await self._threads.run(self._gateway.jobs.status, job_id)
                if status.is_final:
                    return True
        return False

    async def _answer_when(
        self, woken: asyncio.Event, deadline: float, job_id: str, purpose: str | None
    ) -> Answer | None:
        while await _is_set_by(woken, deadline):
            woken.clear()
            answer = await self._threads.run(answer_if_ended, self._gateway.jobs, job_id, purpose)
            if answer is not None:
                return answer
        return None


class OverHttp:
    """Lets the service wait: one request accepts the job and brings the answer back."""

    def __init__(self, gateway: HttpGateway) -> None:
        self._gateway = gateway
        self._threads = Threads(WAITING_THREADS)

    async def enqueue(
        self, new: NewRequest, deadline: float, purpose: str | None
    ) -> tuple[Job, Answer | None]:
        """See `Awaiting.enqueue`."""
        begun = self._gateway.enqueue_and_wait
        job, answer = await self._threads.run(begun, new, _left(deadline), purpose=purpose)
        if answer is not None or job.origin != "call":
            return job, answer
        return job, await self.answer_by(deadline, job.id, purpose)

    async def answer_by(self, deadline: float, job_id: str, purpose: str | None) -> Answer | None:
        """See `Awaiting.answer_by`."""
        left = _left(deadline)
        if left <= 0:
            return None
        ended = await self._threads.run(self._gateway.jobs.ended_within, job_id, left)
        if ended is None:
            return None
        return await self._threads.run(answer_if_ended, self._gateway.jobs, job_id, purpose)

    async def request(self, new: NewRequest, deadline: float, purpose: str | None) -> Answer:
        """See `Awaiting.request`."""
        arguments = _arguments(new) | {"timeout": max(0.001, _left(deadline)), "purpose": purpose}
        del arguments["job_id"]
        try:
            return await self._threads.run(self._gateway.request, **arguments)
        except TimeoutError as error:  # the service lets nobody wait for so long
            raise JobExpired(
                f"{new.provider} gave no answer in time. {error}", provider=new.provider
            ) from None


async def _is_set_by(event: asyncio.Event, deadline: float) -> bool:
    """Wait for an event until a time of the loop; return whether it is set, False at the time."""
    left = _left(deadline)
    if left > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), left)
    return left > 0 and event.is_set()


def _arguments(new: NewRequest) -> dict[str, Any]:
    return {field.name: getattr(new, field.name) for field in fields(new)}


def _left(deadline: float) -> float:
    return max(0.0, deadline - asyncio.get_running_loop().time())
