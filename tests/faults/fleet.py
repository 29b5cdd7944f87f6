"""A fleet that is killed: real workers, beat and an asking app, kept running as a supervisor would.

Everything they need stands behind a proxy: Redis, the provider, and PostgreSQL where that is the
ledger. The test itself looks at the ledger directly.
"""

import os
import threading
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import SecretStr
from sqlalchemy import select

from sisgate.clock import SystemClock, poll_until
from sisgate.credentials.master import make_master_key
from sisgate.domain.states import LIVE_CALL_STATES, LIVE_JOB_STATES
from sisgate.gateway import Gateway
from sisgate.ledger import migrate
from sisgate.ledger import schema as tables
from sisgate.redis.keys import CONFIGURATION
from sisgate.settings import load_settings
from testbed.mortal import MortalPostgres, MortalRedis
from tests.faults.book import Book
from tests.faults.changes import GUEST, Changes, Tables
from tests.faults.kept import Kept
from tests.faults.loop import LoopThread
from tests.faults.moved_clock.sitecustomize import OFFSET_VARIABLE
from tests.faults.points import FOLDER_VARIABLE, PointsFolder
from tests.faults.provider import Provider
from tests.faults.proxy import Proxy

CLOCK = SystemClock()
PATIENCE_SECONDS = 120.0
LEASE_SECONDS = 6.0
LIMIT, PERIOD_SECONDS = 60, 2.0
LOW_LIMIT = 8
"""What a change of the configuration lowers a limit to: less than what is asked for at times."""

LIMITED = ("requests", "lists")
"""Providers with a limit. `calm` has none: its lists are read before anything is disturbed."""

DatabaseKind = Literal["sqlite", "postgresql"]

_MIGRATING = threading.Lock()
"""A soak makes fleets in threads, and Alembic has one context for the whole process."""

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


_HIGH = f'"{LIMIT}/{PERIOD_SECONDS:g}s"\nburst = {LIMIT}'


class NeverCame(AssertionError):
    """What was waited for did not happen: work was lost, or something stands."""


class Fleet:
    """Two workers of all providers, beat or several, an app, and servers and proxies around them.

    `serving` gives other workers by the queues of each. `clocks` are the seconds by which the clock
    of a process (`worker1`, `beat1`, `asker`) is ahead.
    """

    def __init__(
        self,
        folder: Path,
        database: DatabaseKind,
        seed: int = 1,
        *,
        beats: int = 1,
        serving: Sequence[Sequence[str]] | None = None,
        clocks: Mapping[str, float] | None = None,
        more: str = "",
        runs: bool = True,
    ) -> None:
        self.folder = folder
        self._runs = runs
        self._clocks = clocks or {}
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
        config = self._configure(more)
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
        with _MIGRATING:
            migrate.upgrade(self.gateway.context.database)
        self.changes = Changes(
            self.gateway,
            lambda: self.redis.client.get(CONFIGURATION()),
            self._tables(),
            LIMITED,
            (LOW_LIMIT, LIMIT),
            PERIOD_SECONDS,
        )
        served: Sequence[Sequence[str]] = serving or [[], []]
        self.workers = [self._worker(n, queues) for n, queues in enumerate(served, start=1)]
        scheduler = ("-S", "tests.faults.points:SteadyScheduler")
        self.beats = [
            self._celery(f"beat{n}", "beat", *scheduler, level="DEBUG")  # which tells what it sends
            for n in range(1, beats + 1)
        ]
        asking = ["tests.faults.asker", str(self.book.file)]
        self.asker = Kept("asker", asking, self._env("asker"), folder, is_asked=True)

    def __enter__(self) -> Self:
        if self._runs:
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
        return [*self.workers, *self.beats, self.asker]

    @property
    def proxies(self) -> list[Proxy]:
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

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Keep everything running until `ready()`; `NeverCame` with all that is known of it."""

        def tended() -> bool:
            self.tend()
            return ready()

        if not poll_until(tended, clock=CLOCK, timeout_seconds=PATIENCE_SECONDS):
            raise NeverCame(f"never came: {what}\n{self.told()}")

    def told(self) -> str:
        """Return what has not ended, and the ends of the logs."""
        live_jobs = tables.Job.state.in_([state.value for state in LIVE_JOB_STATES])
        live_calls = tables.Call.state.in_([state.value for state in LIVE_CALL_STATES])
        with self.gateway.context.database.read() as session:
            lines = [
                f"  job {job.id}: {job.kind} {job.state}, published {job.published_at}"
                for job in session.scalars(select(tables.Job).where(live_jobs).limit(20))
            ]
            lines += [
                f"  call {c.id} of {c.provider}: {c.state}, attempt {c.attempt}, lost "
                f"{c.lost_workers}, published {c.published_at}, lease until {c.lease_until}, "
                f"not before {c.not_before}"
                for c in session.scalars(select(tables.Call).where(live_calls).limit(20))
            ]
        logs = [f"--- {each.name}\n{each.log[-2500:]}" for each in self.processes]
        return "\n".join([*lines, *logs])

    def _worker(self, number: int, queues: Sequence[str]) -> Kept:
        named = ["-Q", ",".join(queues)] if queues else []
        options = (*named, "-c", "2", "-n", f"w{number}@t")
        return self._celery(f"worker{number}", "worker", *options, "-I", "tests.faults.points")

    def _celery(self, name: str, *arguments: str, level: str = "INFO") -> Kept:
        words = ["celery", "-A", "workers", *arguments, "-l", level]
        return Kept(name, words, self._env(name), self.folder)

    def _env(self, name: str) -> dict[str, str]:
        """Return a process's environment; one with a clock of its own gets that moved."""
        if name not in self._clocks:
            return self._environment
        moved = Path(__file__).parent / "moved_clock"
        path = os.pathsep.join(filter(None, [str(moved), os.environ.get("PYTHONPATH")]))
        offset = f"{self._clocks[name]:g}"
        return self._environment | {"PYTHONPATH": path, OFFSET_VARIABLE: offset}

    def _configure(self, more: str) -> Path:
        config = self.folder / "sisgate.toml"
        limits = {**dict.fromkeys(LIMITED, _HIGH), "calm": '"off"'}
        text = "".join(self._table(name, limit) for name, limit in limits.items())
        config.write_text(text + more, encoding="utf-8")
        return config

    def _tables(self) -> Tables:
        """Return the tables of all providers, also of the one that comes and goes."""
        text = (self.folder / "sisgate.toml").read_text("utf-8")
        tables: Tables = tomllib.loads(text + self._table(GUEST, _HIGH))["providers"]
        return tables

    def _table(self, name: str, limit: str) -> str:
        port = self.to_provider.port
        return _PROVIDER.format(name=name, lease=LEASE_SECONDS, limit=limit, port=port)
