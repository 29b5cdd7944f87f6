"""What a measurement runs on: databases, and the product with its real worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import psutil
from celery import Celery
from pydantic import SecretStr

from benchmarks.memory import peak_bytes
from sisgate.broker import celery_app
from sisgate.clock import SystemClock, poll_until
from sisgate.credentials.keys import NewKey, add_key
from sisgate.credentials.vault import vault_of
from sisgate.gateway import Gateway
from sisgate.ledger import migrate
from sisgate.sandbox.process import RunningDistrict, SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from testbed.installation import install, variables_of
from testbed.ledgers import ledger_of
from testbed.postgres import PostgresServer
from testbed.redis import RedisServer

DISTRICT = "district"
WORKER_PROCESSES = 2
READY_SECONDS = 60.0
STOP_SECONDS = 30.0


def district_of(students: int) -> DistrictSpec:
    """Return a OneRoster district without quota or latency that serves pages of 1000."""
    return DistrictSpec(DISTRICT, "skyward", students=students, quota=None)


class Ground:
    """The servers that all contenders of a section share: sandbox, Redis and PostgreSQL."""

    def __init__(self, *, students: int = 1) -> None:
        self._exits = ExitStack()
        self._students = students

    def __enter__(self) -> Self:
        sandbox = SandboxProcess(SandboxSpec((district_of(self._students),)))
        self.district: RunningDistrict = self._exits.enter_context(sandbox).districts[DISTRICT]
        self.redis = RedisServer()
        self._exits.callback(self.redis.stop)
        self.postgres = PostgresServer()
        self._exits.callback(self.postgres.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @contextmanager
    def database(self, engine: str) -> Iterator[tuple[Path, str]]:
        """Give an empty folder and the URL of an empty database, for one run."""
        with ledger_of(self.postgres, engine) as (folder, url):
            yield folder, url

    @contextmanager
    def product(self, engine: str, settings: str = 'limit = "off"') -> Iterator[Product]:
        """Give sisgate over an empty database and an empty Redis, without workers yet.

        `settings` are more lines of the provider's configuration.
        """
        self.redis.wipe()
        with self.database(engine) as (folder, url):
            product = Product(folder, url, self.redis.url, self.district, settings)
            try:
                yield product
            finally:
                product.close()


class Product:
    """sisgate as it is installed: a configuration file, a migrated ledger, worker processes."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        redis_url: str,
        district: RunningDistrict,
        settings: str,
    ) -> None:
        self.log_path = folder / "worker.log"
        text = _configuration(district, settings)
        self.settings = install(folder, text, redis_url=redis_url, database_url=database_url)
        self.environment = os.environ | variables_of(self.settings)
        self._environment_before = dict(os.environ)
        os.environ.update(self.environment)
        self.gateway = Gateway(self.settings)
        self._worker: subprocess.Popen[bytes] | None = None
        migrate.upgrade(self.gateway.context.database)
        vault = vault_of(self.settings)
        secret = SecretStr(district.client_secret)
        with self.gateway.context.database.write() as session:
            new = NewKey(district.client_id, secret)
            add_key(session, vault, DISTRICT, new, SystemClock().now())
        self.app: Celery = celery_app(self.settings, redis_url)

    def start_worker(self, *, processes: int = WORKER_PROCESSES) -> None:
        """Start `celery -A workers worker` and return when it listens."""
        command = [sys.executable, "-m", "celery", "-A", "workers", "worker"]
        command += ["-Q", f"sisgate,{DISTRICT}", "-c", str(processes), "-l", "WARNING"]
        with self.log_path.open("wb") as log:
            self._worker = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        ready = poll_until(
            lambda: bool(self.app.control.ping(timeout=0.5)),
            clock=SystemClock(),
            timeout_seconds=READY_SECONDS,
        )
        if not ready:
            raise RuntimeError(f"the worker did not start:\n{self.log_path.read_text()}")

    def worker_peak_bytes(self) -> int:
        """Return the largest peak of resident memory of any one worker process."""
        assert self._worker is not None
        parent = psutil.Process(self._worker.pid)
        return max(peak_bytes(process) for process in [parent, *parent.children(recursive=True)])

    def close(self) -> None:
        """Stop the worker and let go of the connections."""
        # What is measured next must not find this ledger's address.
        os.environ.clear()
        os.environ.update(self._environment_before)
        self.gateway.close()
        self.app.close()
        if self._worker is not None:
            self._worker.terminate()
            try:
                self._worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()


def _configuration(district: RunningDistrict, settings: str) -> str:
    base = (district.oneroster_base or "").removeprefix(district.url)
    page_size = "" if "page_size" in settings else "page_size = 1000"
    return f"""
        [providers.{DISTRICT}]
        kind = "{district.kind}"
        allow_insecure = true
        token_url = "{district.token_url}"
        base_path = "{base}"
        endpoints = [{{ url = "{district.url}" }}]
        {page_size}
        {settings}
        """
