"""What a measurement runs on: databases, and the product with its real worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import psutil

from benchmarks.memory import peak_bytes
from sisgate.broker import celery_app
from sisgate.sandbox.process import SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from testbed.ledgers import ledger_of
from testbed.postgres import PostgresServer
from testbed.redis import RedisServer
from testbed.stack import Stack, wait_until

DISTRICT = "district"
WORKER_PROCESSES = 2


def district_of(students: int) -> DistrictSpec:
    """Return a OneRoster district without quota or latency that serves pages of 1000."""
    return DistrictSpec(DISTRICT, "skyward", students=students, quota=None)


class Ground:
    """The servers that all contenders of a section share: sandbox, Redis and PostgreSQL."""

    def __init__(self, *, students: int = 1) -> None:
        self._exits = ExitStack()
        self._students = students

    def __enter__(self) -> Self:
        spec = SandboxSpec((district_of(self._students),))
        self.sandbox = self._exits.enter_context(SandboxProcess(spec))
        self.redis = RedisServer()
        self._exits.callback(self.redis.stop)
        self.postgres = PostgresServer()
        self._exits.callback(self.postgres.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def database(self, engine: str) -> AbstractContextManager[tuple[Path, str]]:
        """Give an empty folder and the URL of an empty database, for one run."""
        return ledger_of(self.postgres, engine)

    @contextmanager
    def product(self, engine: str, **options: Any) -> Iterator[Product]:
        """Give sisgate over an empty database and an empty Redis, without workers yet.

        `options` are settings of the provider.
        """
        self.redis.wipe()
        with self.database(engine) as (folder, url):
            product = Product(folder, self.sandbox, self.redis.url, url, options)
            try:
                yield product
            finally:
                product.stop()


class Product(Stack):
    """A stack of one district, without beat. This process has the environment of its workers."""

    def __init__(
        self,
        folder: Path,
        sandbox: SandboxProcess,
        redis_url: str,
        database_url: str,
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(
            folder, sandbox, redis_url=redis_url, database_url=database_url,
            options={DISTRICT: {"page_size": 1000, **options}},
        )  # fmt: skip
        self._environment_before = dict(os.environ)
        os.environ.update(self.environment())

    def begin(self, *, processes: int = WORKER_PROCESSES) -> None:
        """Start a worker and return when it listens."""
        self.start_worker(concurrency=processes, level="WARNING")
        app = celery_app(self.settings, self.redis_url)
        try:
            wait_until(lambda: bool(app.control.ping(timeout=0.5)), "a worker that listens")
        finally:
            app.close()

    @property
    def worker_pid(self) -> int:
        """The process id of the worker, the parent of its processes."""
        (worker,) = self.processes_of("worker")
        return worker.pid

    def worker_peak_bytes(self) -> int:
        """Return the largest peak of resident memory of any one worker process."""
        parent = psutil.Process(self.worker_pid)
        return max(peak_bytes(process) for process in [parent, *parent.children(recursive=True)])

    def stop(self) -> None:
        """Stop the worker and let go of the connections."""
        # What is measured next must not find this ledger's address.
        os.environ.clear()
        os.environ.update(self._environment_before)
        super().stop()
