"""A fleet that is killed: real workers, beat and an asking app, kept running as a supervisor would.

Everything they need stands behind a proxy: Redis, the provider, and PostgreSQL where that is the
ledger. The test itself looks at the ledger directly.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import SecretStr

from sisgate.clock import SystemClock
from sisgate.credentials.master import make_master_key
from sisgate.gateway import Gateway
from sisgate.ledger import migrate
from sisgate.settings import load_settings
from tests.faults.book import Book
from tests.faults.loop import LoopThread
from tests.faults.points import FOLDER_VARIABLE, PointsFolder
from tests.faults.provider import Provider
from tests.faults.proxy import Proxy
from tests.servers.mortal import MortalPostgres, MortalRedis, children_of

CLOCK = SystemClock()
PATIENCE_SECONDS = 120.0
LEASE_SECONDS = 6.0
LIMIT, PERIOD_SECONDS = 60, 2.0
LIMITED = ("requests", "lists")
"""Providers with a limit. `calm` has none: its lists are read before anything is disturbed."""

DatabaseKind = Literal["sqlite", "postgresql"]

_PROVIDER = """
[providers.{name}]
kind = "oneroster"
auth = "none"
allow_insecure = true
page_size = 20
timeout_seconds = 2
lease_seconds = {lease}
limit = {limit}
endpoints = [{{ url = "http://127.0.0.1:{port}/{name}" }}]
breaker = {{ open_seconds = 0.5, open_cap_seconds = 1.0 }}
"""


class Fleet:
    """Two workers of all queues, beat, an app, and the servers and proxies around them."""

    def __init__(self, folder: Path, database: DatabaseKind, seed: int) -> None:
        self.folder = folder
        self.points = PointsFolder(folder / "points")
        self.book = Book(folder / "accepted.jsonl")
        self.network = LoopThread()
        self.provider = Provider(self.network, seed)
        self.redis = MortalRedis()
        self.postgres = MortalPostgres() if database == "postgresql" else None
        self.to_provider = Proxy(self.network, "127.0.0.1", self.provider.port)
        self.to_redis = Proxy(self.network, "127.0.0.1", self.redis.port)
        self.to_postgres: Proxy | None = None
        ledger = ledger_behind = f"sqlite:///{folder / 'ledger.sqlite3'}"
        if self.postgres is not None:
            self.to_postgres = Proxy(self.network, "127.0.0.1", self.postgres.port)
            ledger = self.postgres.url()
            ledger_behind = self.postgres.url(self.to_postgres.port)
        make_master_key(folder / "master.key")
        config = self._configure()
        broker_behind = f"redis://127.0.0.1:{self.to_redis.port}/0"
        self._environment = os.environ | {
            "SISGATE_DATA_DIR": str(folder),
            "SISGATE_CONFIG": str(config),
            "SISGATE_BROKER_URL": broker_behind,
            "SISGATE_DATABASE_URL": ledger_behind,
            FOLDER_VARIABLE: str(self.points.folder),
        }
        urls = {"broker_url": SecretStr(self.redis.url), "database_url": SecretStr(ledger)}
        settings = load_settings(config, data_dir=folder).model_copy(update=urls)
        self.gateway = Gateway(settings)
        migrate.upgrade(self.gateway.database)
        queues = ",".join(["sisgate", *settings.providers])
        loading = ("-I", "tests.faults.points")
        self.workers = [
            self._celery(f"worker{n}", "worker", "-Q", queues, "-c", "2", "-n", f"w{n}@t", *loading)
            for n in (1, 2)
        ]
        schedule = str(folder / "beat")
        scheduler = ("-S", "tests.faults.points:PersistentScheduler")
        self.beat = self._celery("beat", "beat", "-s", schedule, *scheduler)
        asking = [sys.executable, "-m", "tests.faults.asker", str(self.book.file)]
        self.asker = Kept("asker", asking, self._environment, folder, is_asked=True)

    def __enter__(self) -> Self:
        self.tend()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.end()
        self.gateway.close()
        for proxy in self.proxies:
            proxy.stop()
        if self.postgres is not None:
            self.postgres.stop()
        self.redis.stop()
        self.provider.stop()
        self.network.stop()

    @property
    def processes(self) -> list[Kept]:
        """Everything that is kept running."""
        return [*self.workers, self.beat, self.asker]

    @property
    def proxies(self) -> list[Proxy]:
        """The proxies of this fleet."""
        return [p for p in (self.to_redis, self.to_provider, self.to_postgres) if p is not None]

    def tend(self) -> None:
        """Start again what has ended, as systemd or a container runtime would."""
        for process in self.processes:
            process.keep()

    def heal(self) -> None:
        """Let every server be reached, and nobody die at a point."""
        self.points.disarm()
        for proxy in self.proxies:
            proxy.heal()
        self.redis.thaw()
        if self.postgres is not None:
            self.postgres.thaw()

    def ask(self, do: str, provider: str, path: str = "", priority: str = "normal") -> None:
        """Tell the app to ask for a job."""
        self.asker.tell({"do": do, "provider": provider, "path": path, "priority": priority})

    def _celery(self, name: str, *arguments: str) -> Kept:
        command = [sys.executable, "-m", "celery", "-A", "workers", *arguments, "-l", "INFO"]
        return Kept(name, command, self._environment, self.folder)

    def _configure(self) -> Path:
        config = self.folder / "sisgate.toml"
        limits = dict.fromkeys(LIMITED, f'"{LIMIT}/{PERIOD_SECONDS:g}s"\nburst = {LIMIT}')
        config.write_text(
            "".join(
                _PROVIDER.format(
                    name=name, lease=LEASE_SECONDS, limit=limit, port=self.to_provider.port
                )
                for name, limit in {**limits, "calm": '"off"'}.items()
            ),
            encoding="utf-8",
        )
        return config


class Kept:
    """One command in a session of its own, started again by `keep` when it has ended."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        is_asked: bool = False,
    ) -> None:
        self.name = name
        self.log_path = folder / f"{name}.log"
        self._command = command
        self._environment = dict(environment)
        self._is_asked = is_asked
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def pid(self) -> int:
        """The process, or 0 when there is none."""
        alive = self._process is not None and self._process.poll() is None
        return self._process.pid if alive and self._process else 0

    @property
    def children(self) -> list[int]:
        """Its pool."""
        return children_of(self.pid) if self.pid else []

    def keep(self) -> None:
        """Start it unless it runs."""
        if self.pid:
            return
        self._clear()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE if self._is_asked else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1

    def tell(self, order: Mapping[str, Any]) -> None:
        """Write a line to it; lost when it has ended, as an order to an app that died."""
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL its parent process alone."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL it and its children at once, as a lost machine would."""
        if self.pid:
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Stop it in order, and by force where that does not come."""
        if self.pid and self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self._clear()

    def _clear(self) -> None:
        """Reap what is left of the last start, children without a parent as well."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
