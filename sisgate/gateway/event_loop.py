"""Waiting for jobs in an event loop, without a thread each."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sisgate.gateway.gateway import Gateway


@contextmanager
def woken_by(gateway: Gateway, job_id: str) -> Iterator[asyncio.Event]:
    """Within the block, give an event that is set whenever the job may have ended.

    Whoever waits for it clears it and then reads the job's status. A job that is watched before it
    is accepted need not be read at the beginning.
    """
    loop, woken = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(woken.set)

    with gateway.jobs.watch(job_id, wake):
        yield woken
