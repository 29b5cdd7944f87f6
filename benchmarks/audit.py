"""The audit section: verifying a large log, finding every mutation, and what auditing costs."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.admission_ground import CLOCK, lay_calls, wait_for
from benchmarks.memory import peak_bytes
from benchmarks.report import Report, tell, times
from benchmarks.scale import QUICK, Scale
from sisgate.audit import sealer
from sisgate.audit.log import record
from sisgate.broker import queue_depths
from sisgate.credentials.master import make_master_key
from sisgate.gateway import Gateway
from sisgate.gateway.ledger import audit_keys
from sisgate.ledger import migrate
from sisgate.ledger.database import Database
from sisgate.settings import load_settings
from sisgate.wakeups import Wakeups
from tests.acceptance.admission.fleet import Fleet
from tests.acceptance.admission.recorder import Recorder
from tests.contract.audit.book import Book
from tests.contract.audit.mutations import MUTATIONS, Scene
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

EVENTS_A_COMMIT, COMMITS_A_SEAL = 2, 500
"""As a fleet of 500 calls a second that seals once a second writes."""

APPS = {"audited": "workers", "not audited": "benchmarks.unaudited"}


def run(scale: Scale) -> Report:
    """Measure on both databases; with `--quick` a tenth of it."""
    quick = scale == QUICK
    report = Report("audit")
    postgres = PostgresServer()
    try:
        _measure_verification(report, postgres, 100_000 if quick else 1_000_000)
        _measure_mutations(report, postgres, 1_000 if quick else 10_000)
        _measure_cost(report, postgres, 400 if quick else 1_500, 2 if quick else 5)
    finally:
        postgres.stop()
    return report


@contextmanager
def _ledgers(postgres: PostgresServer) -> Iterator[Callable[[str], tuple[Path, str]]]:
    """Give what makes a folder and the URL of an empty database of a kind."""
    names = []
    with tempfile.TemporaryDirectory(prefix="sisgate-bench-") as folder:

        def made(engine: str) -> tuple[Path, str]:
            place = Path(tempfile.mkdtemp(dir=folder))
            if engine == "sqlite":
                return place, f"sqlite:///{place / 'sisgate.db'}"
            names.append(postgres.create_database())
            return place, postgres.url(names[-1])

        yield made
        for name in names:
            postgres.drop_database(name)


# A large log ------------------------------------------------------------------------------------


def _measure_verification(report: Report, postgres: PostgresServer, events: int) -> None:
    rows, figures = [], {}
    with _ledgers(postgres) as made:
        for engine in ("sqlite", "postgresql"):
            folder, url = made(engine)
            environment = {
                **os.environ,
                "SISGATE_DATA_DIR": str(folder),
                "SISGATE_DATABASE_URL": url,
                "SISGATE_CONFIG": str(folder / "sisgate.toml"),
            }
            (folder / "sisgate.toml").touch()
            make_master_key(folder / "master.key")
            found = {}
            for size in (events // 10, events):
                tell(f"a log of {size:,} events, {engine}")
                _write_log(folder, url, size)
                found[size] = _verify(environment)
            small, large = found[events // 10], found[events]
            if not large["whole"] or large["events"] < events:
                raise RuntimeError(f"the log is not whole: {large}")
            growth = large["peak"] - small["peak"]
            rows.append(
                [engine, f"{large['events']:,}", f"{large['seconds']:.1f}",
                 f"{large['events'] / large['seconds']:,.0f}", f"{large['peak'] / 1e6:.0f}",
                 f"{growth / 1e6:+.1f}"]
            )  # fmt: skip
            figures[engine] = {**large, "peak_at_a_tenth": small["peak"]}
    report.add_table(
        "`sisgate audit verify`, its own process",
        ["database", "events", "seconds", "events/s", "peak MB", "MB more than at a tenth"],
        rows,
    )
    report.figures["verification"] = figures


def _write_log(folder: Path, url: str, size: int) -> None:
    """Add to the log until it has so many events."""
    os.environ |= {"SISGATE_DATABASE_URL": url}
    settings = load_settings(folder / "sisgate.toml", data_dir=folder)
    gateway = Gateway(settings)
    database, keys = gateway.database, audit_keys(settings)
    migrate.upgrade(database)
    newest = sealer.seal(database, keys, CLOCK, closely=True)
    number = newest.total if newest else 0
    # Many small commits are the database's time; as many events come in fewer here.
    bundle = EVENTS_A_COMMIT * COMMITS_A_SEAL
    while number < size:
        with database.write() as session:
            for _ in range(bundle // 2):
                number += 2
                for action in ("workers:call:intent", "workers:call:outcome"):
                    record(
                        session, CLOCK.now(), actor="worker", action=action,
                        subject=f"call/{number}", provider="powerschool", job=f"job-{number}",
                        attempt=1, purpose="page", outcome="done", status=200,
                    )  # fmt: skip
        sealer.seal(database, keys, CLOCK)
    del os.environ["SISGATE_DATABASE_URL"]
    gateway.close()


def _verify(environment: dict[str, str]) -> dict[str, Any]:
    """Run `sisgate audit verify` and return what it said, and its peak of memory in bytes."""
    command = [sys.executable, "-m", "sisgate.cli", "audit", "verify", "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, peak_bytes(watched))
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            break
        time.sleep(0.05)
    said, _ = process.communicate()
    return {**json.loads(said), "peak": peak}


# Mutations --------------------------------------------------------------------------------------


def _measure_mutations(report: Report, postgres: PostgresServer, count: int) -> None:
    shares = {"sqlite": count * 4 // 5, "postgresql": count // 5}
    rows: list[list[str]] = []
    missed: list[str] = []
    done: dict[str, Counter[str]] = {}
    with _ledgers(postgres) as made:
        for engine, share in shares.items():
            tell(f"{share:,} mutations, {engine}")
            database = Database(made(engine)[1])
            migrate.upgrade(database)
            book = Book(database)
            book.fill(seals=8, events=4)
            done[engine] = Counter()
            for seed in range(share):
                mutate = MUTATIONS[seed % len(MUTATIONS)]
                with book.tampering() as session:
                    what = mutate(Scene(session, random.Random(seed)))
                    if book.verify(session).is_whole:
                        missed.append(f"{engine}: {mutate.__name__} {what} (seed {seed})")
                done[engine][mutate.__name__] += 1
            if not book.verify().is_whole:
                raise RuntimeError("a mutation was not undone")
            database.dispose()
    for mutate in MUTATIONS:
        name = mutate.__name__
        lost = sum(f" {name} " in each for each in missed)
        rows.append([name.replace("_", " "), *(f"{done[e][name]:,}" for e in shares), str(lost)])
    report.add_table("Random mutations by SQL", ["kind", *shares, "not found"], rows)
    report.notes += missed
    report.figures["mutations"] = {"done": shares, "missed": missed}


# Cost -------------------------------------------------------------------------------------------


def _measure_cost(report: Report, postgres: PostgresServer, count: int, rounds: int) -> None:
    rows, figures = [], {}
    for engine in ("sqlite", "postgresql"):
        for workers in (1, 4) if engine == "postgresql" else (1,):
            rates: dict[str, list[float]] = {how: [] for how in APPS}
            for turn in range(rounds):
                tell(f"calls with and without audit, {engine}, {workers} workers, {turn + 1}")
                # In turns and each first in turn, so that neither has the warmer machine.
                for how in sorted(APPS, reverse=bool(turn % 2)):
                    rates[how].append(_call_rate(postgres, engine, APPS[how], workers, count))
            with_, without = (statistics.median(rates[how]) for how in APPS)
            ratio = with_ / without
            rows.append([engine, str(workers), f"{with_:,.0f}", f"{without:,.0f}", times(ratio)])
            figures[f"{engine}, {workers} workers"] = {**rates, "ratio": ratio}
    report.add_table(
        "Whole calls per second, limit off, sealing once a second",
        ["database", "workers of 2", "audited", "not audited", "ratio"],
        rows,
    )
    report.figures["cost"] = figures


def _call_rate(postgres: PostgresServer, engine: str, app: str, workers: int, count: int) -> float:
    redis, recorder = RedisServer(), Recorder()
    try:
        with _ledgers(postgres) as made:
            folder, url = made(engine)
            with Fleet(
                folder, redis.url, recorder, {"alpha": 'limit = "off"'}, database_url=url
            ) as fleet:
                fleet.begin_counting()
                for _ in range(workers):
                    fleet.start_worker(concurrency=2, level="ERROR", app=app)
                fleet.start_beat()
                lay_calls(fleet, "alpha", count)
                Wakeups(fleet.redis, CLOCK).signal_work("alpha")
                return count / wait_for(lambda: _is_done(fleet), 300)
    finally:
        recorder.stop()
        redis.stop()


def _is_done(fleet: Fleet) -> bool:
    return not queue_depths(fleet.redis, ["alpha"])["alpha"] and not fleet.unacked()
