"""One intercepted request on its way through the gateway: accepted, waited for, answered."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import anyio
import anyio.to_thread
from starlette.responses import Response

from sisgate.clock import SystemClock
from sisgate.domain.moments import local_time
from sisgate.errors import BrokerUnavailable, InvalidState, JobExpired, UnknownJob
from sisgate.gateway import Answer, Gateway, JobStatus
from sisgate.gateway.job import raise_unless_successful
from sisgate.integrations.call_options import CallOptions
from sisgate.integrations.interception import Interceptor
from sisgate.integrations.process_gateway import ProcessGateway
from sisgate.integrations.responses import of_answer, of_job

CLOCK = SystemClock()
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 300.0

WAITERS = 1000


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
        self._waiters: anyio.CapacityLimiter | None = None

    async def ask(self, asked: Asked, options: CallOptions) -> Response:
        """Return the provider's answer, or 202 with a job that is still worth waiting for."""
        gateway = await self._process.get()
        if options.on_unavailable == "stale" and asked.method == "GET":
            return await self._ask_or_take_old(gateway, asked, options)
        ask = partial(
            gateway.enqueue_request, asked.provider, asked.method, asked.path,
            query=asked.query, body=asked.body or None, headers=asked.headers,
            priority=options.priority, timeout=max(0.001, options.timeout + options.keep),
            # There is no old answer to anything but a GET.
            on_unavailable=options.on_unavailable.replace("stale", "fail"),
        )  # fmt: skip
        job = await self._process.run(ask)
        status = await self._ended_within(gateway, job.id, options.timeout)
        if status is None:
            return await self._late(gateway, job.id, asked, options)
        return await self._answered(gateway, status, options.purpose, asked.root_path)

    async def look(
        self, job_id: str, options: CallOptions, root_path: str, *, wait: float
    ) -> Response:
        """Return what became of a job that an earlier request got: its answer, or 202 again.

        Jobs of other apps, and syncs, are unknown here.
        """
        gateway = await self._process.get()
        status = await self._process.run(gateway.jobs.status, job_id)
        if status.kind != "request" or status.app != _app_of(gateway):
            raise UnknownJob(f"No job has the id {job_id}.", job=job_id)
        if not status.is_final:
            status = await self._ended_within(gateway, job_id, wait) or status
        if not status.is_final:
            return self._job(status, root_path, await self._retry_after(gateway, job_id))
        return await self._answered(gateway, status, options.purpose, root_path)

    async def _ask_or_take_old(
        self, gateway: Gateway, asked: Asked, options: CallOptions
    ) -> Response:
        answer = await self._process.run(
            gateway.request, asked.provider, asked.method, asked.path,
            query=asked.query, body=asked.body or None, headers=asked.headers,
            priority=options.priority, timeout=max(0.001, options.timeout),
            on_unavailable="stale", purpose=options.purpose,
        )  # fmt: skip
        return await self._response(gateway, asked.provider, answer, asked.root_path)

    async def _late(
        self, gateway: Gateway, job_id: str, asked: Asked, options: CallOptions
    ) -> Response:
        """Return 202 if the call can still be made in time; otherwise withdraw it."""
        status = await self._process.run(gateway.jobs.status, job_id)
        if status.is_final:
            return await self._answered(gateway, status, options.purpose, asked.root_path)
        until, is_hopeless = None, options.keep == 0
        if not is_hopeless:
            with suppress(BrokerUnavailable):  # the job is kept, and published later
                wait = await self._process.run(gateway.jobs.waits_for, job_id)
                until = wait.until if wait is not None else None
                is_hopeless = wait is not None and not _is_before(until, status.expires_at)
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
        status = await self._process.run(gateway.jobs.status, job_id)
        return await self._answered(gateway, status, options.purpose, asked.root_path)

    async def _answered(
        self, gateway: Gateway, status: JobStatus, purpose: str | None, root_path: str
    ) -> Response:
        """Return the answer of a job that has ended; raises why there is none."""
        try:
            answer = await self._process.run(gateway.jobs.answer, status.id, purpose=purpose)
        except InvalidState:
            raise_unless_successful(status)
            raise
        return await self._response(gateway, status.provider, answer, root_path)

    async def _response(
        self, gateway: Gateway, provider: str, answer: Answer, root_path: str
    ) -> Response:
        def path_here(path: str) -> str:
            return f"{root_path}{self._interceptor.path_of(provider, path)}"

        has_links = not {"link", "location"}.isdisjoint(answer.headers)
        urls = [each.url for each in gateway.providers.get(provider).endpoints] if has_links else []
        return of_answer(answer, urls, path_here)

    async def _ended_within(
        self, gateway: Gateway, job_id: str, seconds: float
    ) -> JobStatus | None:
        if seconds <= 0:
            return None
        if self._waiters is None:
            self._waiters = anyio.CapacityLimiter(WAITERS)
        wait = partial(gateway.jobs.ended_within, job_id, seconds)
        return await anyio.to_thread.run_sync(wait, limiter=self._waiters)

    async def _retry_after(self, gateway: Gateway, job_id: str) -> float:
        until = None
        with suppress(BrokerUnavailable):
            wait = await self._process.run(gateway.jobs.waits_for, job_id)
            until = wait.until if wait is not None else None
        return _seconds_until(until)

    def _job(self, status: JobStatus, root_path: str, retry_after: float) -> Response:
        return of_job(status, f"{root_path}{self._interceptor.job_path(status.id)}", retry_after)


def _app_of(gateway: Gateway) -> str:
    principal = gateway.access.principal()
    return principal.name if principal.kind == "token" else gateway.settings.app_name


def _is_before(until: datetime | None, deadline: datetime | None) -> bool:
    return until is not None and (deadline is None or until < deadline)


def _seconds_until(moment: datetime | None) -> float:
    if moment is None:
        return RETRY_SECONDS
    left = (moment - CLOCK.now()) / timedelta(seconds=1)
    return min(LONGEST_RETRY_SECONDS, max(RETRY_SECONDS, left))
