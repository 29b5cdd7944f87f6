"""A worker in the test's own process: it plans syncs, and makes each call in a thread at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from sqlalchemy import select

from sisgate.clock import SystemClock
from sisgate.ledger import schema as tables
from sisgate.settings import Settings
from testbed.worker import runtime_of
from workers.calls import execute
from workers.jobs import planning

EVERY_SECONDS = 0.01


class Caller:
    """Plans every sync and makes every call as soon as it is queued, until its context ends."""

    def __init__(self, settings: Settings, *, threads: int = 4) -> None:
        self._settings = settings
        self._threads = threads
        self._ends = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="caller", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(60)

    def _run(self) -> None:
        clock, begun = SystemClock(), set[int]()
        queued = select(tables.Call).where(tables.Call.state == "queued")
        accepted = select(tables.Job.id).where(tables.Job.state == "accepted")
        with runtime_of(self._settings) as runtime, ThreadPoolExecutor(self._threads) as pool:
            self._ready.set()
            while not self._ends.is_set():
                with runtime.database.read() as session:
                    jobs = list(session.scalars(accepted))
                for job_id in jobs:
                    planning.plan(runtime, job_id)
                with runtime.database.read() as session:
                    calls = [(each.id, each.provider) for each in session.scalars(queued)]
                for call_id, provider in calls:
                    if call_id not in begun:
                        begun.add(call_id)
                        config = self._settings.providers[provider]
                        pool.submit(execute.make_call, runtime, config, call_id)
                clock.sleep(EVERY_SECONDS)
