"""One call to a provider for a caller who waits for its answer, without a thread."""

import asyncio
from dataclasses import dataclass
from functools import partial

from starlette.concurrency import run_in_threadpool

from sisgate.errors import JobCancelled, JobExpired
from sisgate.gateway import Answer, Gateway, Job, NewRequest
from sisgate.web.waiting import Gone, WaitingRequests


@dataclass(frozen=True)
class Answering:
    """Makes calls for one caller, who waits for at most `longest_wait_seconds`."""

    gateway: Gateway
    waiting: WaitingRequests
    longest_wait_seconds: float

    async def answer(
        self, new: NewRequest, seconds: float, purpose: str | None, gone: Gone
    ) -> Answer | Job:
        """Return the answer, as `Gateway.request` does; the job if it goes on.

        It goes on after the longest wait, without its caller, and if an earlier request made it.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        pending = await run_in_threadpool(self.gateway.requests.begin, new)
        while True:
            has_ended = pending.job.origin == "stored"
            left = seconds - (loop.time() - begun)
            if not has_ended:
                wait = min(left, self.longest_wait_seconds - (loop.time() - begun))
                status = await self.waiting.ended(self.gateway, pending.job.id, wait, gone)
                has_ended = status.is_final
                left = seconds - (loop.time() - begun)
            if not has_ended and left > 0:
                return pending.job
            try:
                conclude = partial(pending.answer, has_ended=has_ended, purpose=purpose)
                return await run_in_threadpool(conclude)
            except TimeoutError:
                return pending.job
            except (JobExpired, JobCancelled):
                if not pending.is_shared or left <= 0:
                    raise
            pending = await run_in_threadpool(pending.alone, left)
