"""The audit section: verifying a large log, finding every mutation, and what auditing costs."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from benchmarks.admission_ground import CLOCK
from benchmarks.audit_cost import measure_appends, measure_calls
from benchmarks.memory import peak_bytes
from benchmarks.report import Report, tell
from benchmarks.scale import QUICK, Scale
from sisgate.audit import sealer
from sisgate.audit.log import record
from sisgate.context import audit_keys
from sisgate.credentials.master import make_master_key
from sisgate.gateway import Gateway
from sisgate.ledger import migrate
from sisgate.ledger.database import Database
from sisgate.settings import load_settings
from testbed.audit_book import Book
from testbed.audit_mutations import MUTATIONS, Scene
from testbed.ledgers import ENGINES, ledger_of
from testbed.postgres import PostgresServer

EVENTS_A_COMMIT, COMMITS_A_SEAL = 2, 500
"""As a fleet of 500 calls a second that seals once a second writes."""


def run(scale: Scale) -> Report:
    """Measure on both databases; with `--quick` a tenth of it."""
    quick = scale == QUICK
    report = Report("audit")
    postgres = PostgresServer()
    try:
        _measure_verification(report, postgres, 100_000 if quick else 1_000_000)
        _measure_mutations(report, postgres, 1_000 if quick else 10_000)
        measure_calls(report, postgres, 200 if quick else 300, 3 if quick else 11)
        measure_appends(report, postgres, 2.0 if quick else 4.0)
    finally:
        postgres.stop()
    return report


# A large log ------------------------------------------------------------------------------------


def _measure_verification(report: Report, postgres: PostgresServer, events: int) -> None:
    rows, figures = [], {}
    for engine in ENGINES:
        with ledger_of(postgres, engine) as (folder, url):
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
    database, keys = gateway.context.database, audit_keys(settings)
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
    for engine, share in shares.items():
        with ledger_of(postgres, engine) as (_, url):
            tell(f"{share:,} mutations, {engine}")
            database = Database(url)
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
