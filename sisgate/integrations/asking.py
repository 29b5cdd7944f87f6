"""One intercepted request on its way through the gateway: accepted, waited for, answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from starlette.responses import Response

from sisgate.clock import SystemClock
from sisgate.domain.moments import local_time
from sisgate.domain.states import JobState
from sisgate.errors import BrokerUnavailable, InvalidState, JobCancelled, JobExpired, UnknownJob
from sisgate.gateway import Answer, Gateway, JobStatus, NewRequest
from sisgate.gateway.job_status import answer_if_ended
from sisgate.integrations.call_options import CallOptions
from sisgate.integrations.interception import Interceptor
from sisgate.integrations.process_gateway import ProcessGateway
from sisgate.integrations.responses import of_answer, of_job

if TYPE_CHECKING:
    from sisgate.client import HttpGateway
    from sisgate.gateway import Wait

    AnyGateway = Gateway | HttpGateway

CLOCK = SystemClock()
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 300.0
OUTLOOK_SECONDS = 5.0
"""How long a caller whose time is up waits at most to be told what its job waits for."""


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
            return await self._ask_or_take_old(gateway, deadline, asked, options)
        new = NewRequest(
            asked.provider, asked.method, asked.path,
            query=asked.query, body=asked.body or None, headers=asked.headers,
            priority=options.priority, timeout=max(0.001, options.timeout + options.keep),
            job_id=str(uuid4()),
            # There is no old answer to anything but a GET.
            on_unavailable=options.on_unavailable.replace("stale", "fail"),
            max_age=options.max_age if asked.method == "GET" else None,
            transform=options.transform,
        )  # fmt: skip
        awaiting = await self._process.awaiting()
        job, answer = await awaiting.enqueue(new, deadline, options.purpose)
        if job.origin == "shared":
            return await self._ask_with_others(gateway, job.id, deadline, asked, options)
        if job.origin == "stored" and answer is None:
            answer = await self._process.run(job.answer, purpose=options.purpose)
        if answer is None:
            return await self._late(gateway, job.id, asked, options)
        return await self._response(gateway, asked.provider, answer, asked.root_path, asked.path)

    async def look(
        self, job_id: str, purpose: str | None, root_path: str, *, wait: float
    ) -> Response:
        """Return what became of a job that an earlier request got: its answer, or 202 again.

        Jobs of other apps, and syncs, are unknown here.
        """
        deadline = _deadline(wait)
        gateway = await self._process.get()
        status = next(iter(await self._process.run(gateway.jobs.statuses, [job_id])), None)
        own = await self._process.run(gateway.jobs.owner)
        if status is None or status.kind != "request" or status.app != own:
            raise UnknownJob(f"No job has the id {job_id}.", job=job_id)
        self._interceptor.check_served(status.provider)
        if status.is_final:
            answer = await self._process.run(answer_if_ended, gateway.jobs, job_id, purpose)
        else:
            awaiting = await self._process.awaiting()
            answer = await awaiting.answer_by(deadline, job_id, purpose)
        if answer is None:
            return self._job(status, root_path, await self._retry_after(gateway, job_id))
        return await self._response(gateway, status.provider, answer, root_path)

    async def _ask_with_others(
        self, gateway: AnyGateway, job_id: str, deadline: float, asked: Asked, options: CallOptions
    ) -> Response:
        """Wait for the call of an identical request; make one if that is given up before."""
        awaiting = await self._process.awaiting()
        try:
            answer = await awaiting.answer_by(deadline, job_id, options.purpose)
        except (JobExpired, JobCancelled):
            left = deadline - asyncio.get_running_loop().time()
            return await self.ask(asked, replace(options, max_age=None, timeout=max(0.0, left)))
        if answer is not None:
            answer = replace(answer, origin="shared")
            return await self._response(
                gateway, asked.provider, answer, asked.root_path, asked.path
            )
        status = await self._process.run(gateway.jobs.status, job_id)
        if status.app == await self._process.run(gateway.jobs.owner):
            after = await self._retry_after(gateway, job_id)
            return self._job(status, asked.root_path, after)
        raise JobExpired(
            f"{asked.provider} gave no answer in time.", job=job_id, provider=asked.provider
        )

    async def _ask_or_take_old(
        self, gateway: AnyGateway, deadline: float, asked: Asked, options: CallOptions
    ) -> Response:
        new = NewRequest(
            asked.provider, asked.method, asked.path,
            query=asked.query, body=asked.body or None, headers=asked.headers,
            priority=options.priority, timeout=max(0.001, options.timeout),
            on_unavailable="stale", max_age=options.max_age, transform=options.transform,
        )  # fmt: skip
        awaiting = await self._process.awaiting()
        answer = await awaiting.request(new, deadline, options.purpose)
        return await self._response(gateway, asked.provider, answer, asked.root_path, asked.path)

    async def _late(
        self, gateway: AnyGateway, job_id: str, asked: Asked, options: CallOptions
    ) -> Response:
        """Return 202 if the call can still be made in time; otherwise withdraw it."""
        status = await self._process.run(gateway.jobs.status, job_id)
        if not status.is_final:
            until, is_hopeless = await self._outlook(gateway, status, options)
            if not is_hopeless:
                return self._job(status, asked.root_path, _seconds_until(until))
            with suppress(InvalidState):  # it has just ended
                ended = await self._process.run(gateway.jobs.withdraw, job_id)
                if ended.state is JobState.EXPIRED:
                    raise self._expired(ended, until)
        answer = await self._process.run(answer_if_ended, gateway.jobs, job_id, options.purpose)
        assert answer is not None
        return await self._response(gateway, asked.provider, answer, asked.root_path, asked.path)

    def _expired(self, status: JobStatus, until: datetime | None) -> JobExpired:
        when = f" It takes calls again at {local_time(until)}." if until is not None else ""
        return JobExpired(
            f"{status.provider} gave no answer in time, and the call was withdrawn.{when}",
            job=status.id,
            provider=status.provider,
            seconds=None if until is None else round(_seconds_until(until), 3),
        )

    async def _outlook(
        self, gateway: AnyGateway, status: JobStatus, options: CallOptions
    ) -> tuple[datetime | None, bool]:
        """Return what a call waits for, and whether it will not be made in time."""
        if options.keep == 0:
            return None, True
        try:
            wait = await wait_of(self._process, gateway, status.id)
        except BrokerUnavailable:
            return None, False  # the job is kept, and published later
        if wait is None:
            return None, False
        is_in_time = wait.until is not None and (
            status.expires_at is None or wait.until < status.expires_at
        )
        return wait.until, not is_in_time

    async def _response(
        self,
        gateway: AnyGateway,
        provider: str,
        answer: Answer,
        root_path: str,
        asked: str | None = None,
    ) -> Response:
        def path_here(path: str) -> str:
            return f"{root_path}{self._interceptor.path_of(provider, path)}"

        urls: Sequence[str] = []
        if not {"link", "location"}.isdisjoint(answer.headers):
            urls = await self._process.run(gateway.providers.urls, provider)
        return of_answer(answer, urls, path_here, asked)

    async def _retry_after(self, gateway: AnyGateway, job_id: str) -> float:
        until = None
        with suppress(BrokerUnavailable):
            wait = await wait_of(self._process, gateway, job_id)
            until = wait.until if wait is not None else None
        return _seconds_until(until)

    def _job(self, status: JobStatus, root_path: str, retry_after: float) -> Response:
        return of_job(status, f"{root_path}{self._interceptor.job_path(status.id)}", retry_after)


async def wait_of(process: ProcessGateway, gateway: AnyGateway, job_id: str) -> Wait | None:
    """Return what a job waits for; `BrokerUnavailable` if Redis is down, or takes too long."""
    asking = asyncio.ensure_future(process.run(gateway.jobs.waits_for, job_id))
    done, _ = await asyncio.wait({asking}, timeout=OUTLOOK_SECONDS)
    if not done:
        # Its thread ends by itself; what it finds then is nobody's.
        asking.add_done_callback(lambda late: late.cancelled() or late.exception())
        raise BrokerUnavailable("Redis takes too long to answer.", job=job_id)
    return asking.result()


def _deadline(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _seconds_until(moment: datetime | None) -> float:
    if moment is None:
        return RETRY_SECONDS
    left = (moment - CLOCK.now()) / timedelta(seconds=1)
    return min(LONGEST_RETRY_SECONDS, max(RETRY_SECONDS, left))
