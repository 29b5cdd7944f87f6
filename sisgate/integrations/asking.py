"""One intercepted request on its way through the gateway: accepted, waited for, answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from starlette.responses import Response

from sisgate.clock import SystemClock
from sisgate.domain.moments import local_time
from sisgate.errors import BrokerUnavailable, InvalidState, JobCancelled, JobExpired, UnknownJob
from sisgate.gateway import Answer, Gateway, JobStatus
from sisgate.gateway.event_loop import woken_by
from sisgate.gateway.job_status import raise_unless_successful
from sisgate.integrations.call_options import CallOptions
from sisgate.integrations.interception import Interceptor
from sisgate.integrations.process_gateway import ProcessGateway
from sisgate.integrations.responses import of_answer, of_job

CLOCK = SystemClock()
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 300.0


@dataclass(frozen=True)
class Asked:
    """A request for a provider, checked and complete."""

    provider: str
    method: str
    path: str
    query: list[tuple[str, str]]
    body: bytes
    headers: Mapping[str, str]
    root_path: str


class Asking:
    """Makes requests of providers, and looks after their jobs."""

    def __init__(self, process: ProcessGateway, interceptor: Interceptor) -> None:
        self._process = process
        self._interceptor = interceptor

    async def ask(self, asked: Asked, options: CallOptions) -> Response:
        """Return the provider's answer, or 202 with a job that is still worth waiting for."""
        deadline = _deadline(options.timeout)
        gateway = await self._process.get()
        if options.on_unavailable == "stale" and asked.method == "GET":
            return await self._ask_or_take_old(gateway, asked, options)
        job_id, answer = str(uuid4()), None
        enqueue = partial(
            gateway.enqueue_request, asked.provider, asked.method, asked.path,
            query=asked.query, body=asked.body or None, headers=asked.headers,
            priority=options.priority, timeout=max(0.001, options.timeout + options.keep),
            job_id=job_id,
            # There is no old answer to anything but a GET.
            on_unavailable=options.on_unavailable.replace("stale", "fail"),
            max_age=options.max_age if asked.method == "GET" else None,
            transform=options.transform,
        )  # fmt: skip
        # Watched before it is accepted, so that no end of it can be missed.
        with woken_by(gateway, job_id) as woken:
            job = await self._process.run(enqueue)
            if job.origin == "call":
                answer = await self._answer_by(deadline, woken, gateway, job_id, options.purpose)
        if job.origin == "shared":
            return await self._ask_with_others(gateway, job.id, deadline, asked, options)
        if job.origin == "stored":
            answer = await self._process.run(job.answer, purpose=options.purpose)
        if answer is None:
            return await self._late(gateway, job_id, asked, options)
        return await self._response(gateway, asked.provider, answer, asked.root_path)

    async def look(
        self, job_id: str, purpose: str | None, root_path: str, *, wait: float
    ) -> Response:
        """Return what became of a job that an earlier request got: its answer, or 202 again.

        Jobs of other apps, and syncs, are unknown here.
        """
        deadline = _deadline(wait)
        gateway = await self._process.get()
        with woken_by(gateway, job_id) as woken:
            status = await self._process.run(gateway.jobs.status, job_id)
            own = await self._process.run(gateway.jobs.owner)
            if status.kind != "request" or status.app != own:
                raise UnknownJob(f"No job has the id {job_id}.", job=job_id)
            if status.is_final:
                answer = await self._process.run(_answer_of, gateway, job_id, purpose)
            else:
                answer = await self._answer_by(deadline, woken, gateway, job_id, purpose)
        if answer is None:
            return self._job(status, root_path, await self._retry_after(gateway, job_id))
        return await self._response(gateway, status.provider, answer, root_path)

    async def _ask_with_others(
        self, gateway: Gateway, job_id: str, deadline: float, asked: Asked, options: CallOptions
    ) -> Response:
        """Wait for the call of an identical request; make one if that is given up before."""
        with woken_by(gateway, job_id) as woken:
            woken.set()  # it may have ended before it was watched
            try:
                answer = await self._answer_by(deadline, woken, gateway, job_id, options.purpose)
            except (JobExpired, JobCancelled):
                left = deadline - asyncio.get_running_loop().time()
                return await self.ask(asked, replace(options, max_age=None, timeout=max(0.0, left)))
        if answer is not None:
            answer = replace(answer, origin="shared")
            return await self._response(gateway, asked.provider, answer, asked.root_path)
        status = await self._process.run(gateway.jobs.status, job_id)
        if status.app == await self._process.run(gateway.jobs.owner):
            after = await self._retry_after(gateway, job_id)
            return self._job(status, asked.root_path, after)
        raise JobExpired(
            f"{asked.provider} gave no answer in time.", job=job_id, provider=asked.provider
        )

    async def _ask_or_take_old(
        self, gateway: Gateway, asked: Asked, options: CallOptions
    ) -> Response:
        answer = await self._process.run(
            gateway.request, asked.provider, asked.method, asked.path,
            query=asked.query, body=asked.body or None, headers=asked.headers,
            priority=options.priority, timeout=max(0.001, options.timeout),
            on_unavailable="stale", max_age=options.max_age, purpose=options.purpose,
            transform=options.transform,
        )  # fmt: skip
        return await self._response(gateway, asked.provider, answer, asked.root_path)

    async def _answer_by(
        self,
        deadline: float,
        woken: asyncio.Event,
        gateway: Gateway,
        job_id: str,
        purpose: str | None,
    ) -> Answer | None:
        """Return the answer of a job once it has ended; None if that takes too long.

        Raises why there is none.
        """
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), left)
            if woken.is_set():
                woken.clear()
                answer = await self._process.run(_answer_of, gateway, job_id, purpose)
                if answer is not None:
                    return answer
        return None

    async def _late(
        self, gateway: Gateway, job_id: str, asked: Asked, options: CallOptions
    ) -> Response:
        """Return 202 if the call can still be made in time; otherwise withdraw it."""
        status = await self._process.run(gateway.jobs.status, job_id)
        if not status.is_final:
            until, is_hopeless = await self._outlook(gateway, status, options)
            if not is_hopeless:
                return self._job(status, asked.root_path, _seconds_until(until))
            with suppress(InvalidState):  # it has just ended
                await self._process.run(gateway.jobs.cancel, job_id)
                when = f" It takes calls again at {local_time(until)}." if until is not None else ""
                raise JobExpired(
                    f"{asked.provider} gave no answer in time, and the call was withdrawn.{when}",
                    job=job_id,
                    provider=asked.provider,
                )
        answer = await self._process.run(_answer_of, gateway, job_id, options.purpose)
        assert answer is not None
        return await self._response(gateway, asked.provider, answer, asked.root_path)

    async def _outlook(
        self, gateway: Gateway, status: JobStatus, options: CallOptions
    ) -> tuple[datetime | None, bool]:
        """Return what a call waits for, and whether it will not be made in time."""
        if options.keep == 0:
            return None, True
        try:
            wait = await self._process.run(gateway.jobs.waits_for, status.id)
        except BrokerUnavailable:
            return None, False  # the job is kept, and published later
        if wait is None:
            return None, False
        is_in_time = wait.until is not None and (
            status.expires_at is None or wait.until < status.expires_at
        )
        return wait.until, not is_in_time

    async def _response(
        self, gateway: Gateway, provider: str, answer: Answer, root_path: str
    ) -> Response:
        def path_here(path: str) -> str:
            return f"{root_path}{self._interceptor.path_of(provider, path)}"

        urls: list[str] = []
        if not {"link", "location"}.isdisjoint(answer.headers):
            config = await self._process.run(gateway.providers.get, provider)
            urls = [each.url for each in config.endpoints]
        return of_answer(answer, urls, path_here)

    async def _retry_after(self, gateway: Gateway, job_id: str) -> float:
        until = None
        with suppress(BrokerUnavailable):
            wait = await self._process.run(gateway.jobs.waits_for, job_id)
            until = wait.until if wait is not None else None
        return _seconds_until(until)

    def _job(self, status: JobStatus, root_path: str, retry_after: float) -> Response:
        return of_job(status, f"{root_path}{self._interceptor.job_path(status.id)}", retry_after)


def _deadline(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _answer_of(gateway: Gateway, job_id: str, purpose: str | None) -> Answer | None:
    """Return the answer of a job; None if it has not ended. Raises why it has none."""
    try:
        return gateway.jobs.answer(job_id, purpose=purpose)
    except InvalidState:
        status = gateway.jobs.status(job_id)
        if not status.is_final:
            return None
        raise_unless_successful(status)
        raise


def _seconds_until(moment: datetime | None) -> float:
    if moment is None:
        return RETRY_SECONDS
    left = (moment - CLOCK.now()) / timedelta(seconds=1)
    return min(LONGEST_RETRY_SECONDS, max(RETRY_SECONDS, left))
