"""Students from a sandbox into SQL: sisgate beside dlt's REST API source, and a worker's memory.

Both read the same server in pages of 1000 and write to the same kind of database; rounds alternate.
sisgate is timed from accepting the job to its end, with its workers running; dlt from `run` to its
end, without start-up. dlt's `merge` is the equivalent of what sisgate does; `append` compares
nothing and is shown as the least that loading costs dlt. Processor time is that of sisgate's worker
or of dlt, and of PostgreSQL; the server that is read from is counted for neither.

Both store all fields of a student in one row. sisgate maps them to OneRoster's form, and keeps
besides a hash and the original of each record, a change feed, an audit log and a ledger of calls.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.processor import processor_seconds, server_of
from benchmarks.report import Report, per_second, times
from benchmarks.scale import Scale
from benchmarks.stack import DISTRICT, WORKER_PROCESSES, Ground
from testbed.ledgers import ENGINES

SYNC_SECONDS = 600.0
DLT_SECONDS = 600.0
LOADS = ("first", "unchanged")
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Load:
    """What one load took: seconds on the clock, and of processor time."""

    seconds: float
    cpu_seconds: float


@dataclass
class Samples:
    """By contender and load: records per second, seconds of processor time; peaks of memory."""

    rates: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    costs: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    peaks: dict[str, list[int]] = field(default_factory=dict)

    def add(self, contender: str, loads: list[Load], students: int, peak: int) -> None:
        """Note the loads of one run, in order."""
        for name, each in zip(LOADS, loads, strict=False):
            self.rates.setdefault((contender, name), []).append(students / each.seconds)
            self.costs.setdefault((contender, name), []).append(each.cpu_seconds)
        self.peaks.setdefault(contender, []).append(peak)

    def median(self, contender: str, load: str) -> float | None:
        """Return the median rate, or None where that load was not measured."""
        found = self.rates.get((contender, load))
        return statistics.median(found) if found else None

    def cost(self, contender: str, load: str) -> float | None:
        """Return the median of the processor time, or None where that load was not measured."""
        found = self.costs.get((contender, load))
        return statistics.median(found) if found else None

    def ratio(self, other: str, load: str) -> float | None:
        """Return how many times the rate of `other` sisgate reaches: the median of the rounds.

        Each round is compared in itself, for the machine may be faster in one than in the next.
        """
        ours, theirs = self.rates["sisgate", load], self.rates.get((other, load), [])
        pairs = zip(ours, theirs, strict=False)
        return statistics.median(a / b for a, b in pairs) if theirs else None


def run(scale: Scale) -> Report:
    """Measure both engines."""
    report = Report("sync")
    with Ground(students=scale.students) as ground:
        samples = {engine: _rounds(ground, engine, scale) for engine in ENGINES}
    _report_rates(report, samples, scale)
    _report_memory(report, samples, scale)
    report.notes += [
        f"sisgate: {WORKER_PROCESSES} worker processes. dlt: defaults, one table, warm imports.",
        "dlt's merge is its default: into a staging table, then delete and insert.",
        "Indexes: sisgate's primary key and sightings; dlt's row ids (PostgreSQL), none (SQLite).",
        "dlt has no second merge into SQLite here: it deletes row by row and takes minutes.",
        "PostgreSQL runs without fsync for both; sisgate's SQLite commits durably.",
    ]
    return report


def _rounds(ground: Ground, engine: str, scale: Scale) -> Samples:
    samples = Samples()
    loads = len(LOADS) if engine == "postgresql" else 1
    for _ in range(scale.rounds):
        taken, peak = sisgate_loads(ground, engine, scale.students)
        samples.add("sisgate", taken, scale.students, peak)
        taken, peak = dlt_loads(ground, engine, "merge", scale.students, loads=loads)
        samples.add("merge", taken, scale.students, peak)
        taken, peak = dlt_loads(ground, engine, "append", scale.students, loads=1)
        samples.add("append", taken, scale.students, peak)
    return samples


def sisgate_loads(ground: Ground, engine: str, students: int) -> tuple[list[Load], int]:
    """Sync twice; return what each took and the largest peak of a worker process."""
    with ground.product(engine) as product:
        product.begin()
        counted = (product.worker_pid, _server(engine))
        loads = []
        for expected in (students, 0):
            begun, used = time.perf_counter(), processor_seconds(*counted)
            status = product.gateway.sync(DISTRICT, "students", mode="full").wait(SYNC_SECONDS)
            seconds = time.perf_counter() - begun
            loads.append(Load(seconds, processor_seconds(*counted) - used))
            if not status.complete or status.inserted != expected or status.updated:
                raise RuntimeError(f"the sync did not do what was measured: {status}")
        return loads, product.worker_peak_bytes()


def _server(engine: str) -> int | None:
    return server_of("postgres") if engine == "postgresql" else None


def dlt_loads(
    ground: Ground, engine: str, disposition: str, students: int, *, loads: int
) -> tuple[list[Load], int]:
    """Load with dlt in a process of its own; return what each load took and its peak."""
    district = ground.sandbox.districts[DISTRICT]
    with ground.database(engine) as (folder, url):
        task = {
            "folder": str(folder),
            "database_url": url,
            "base_url": district.oneroster_base,
            "token_url": district.token_url,
            "client_id": district.client_id,
            "client_secret": district.client_secret,
            "disposition": disposition,
            "loads": loads,
            "server": _server(engine),
        }
        command = [sys.executable, "-m", "benchmarks.dlt_process"]
        done = subprocess.run(
            command, input=json.dumps(task), capture_output=True, text=True,
            check=False, timeout=DLT_SECONDS,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"dlt failed:\n{done.stderr[-2000:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if answer["rows"] != students * (loads if disposition == "append" else 1):
        raise RuntimeError(f"dlt loaded {answer['rows']} rows")
    taken = zip(answer["seconds"], answer["cpu_seconds"], strict=True)
    return [Load(*each) for each in taken], answer["peak_bytes"]


def _report_rates(report: Report, samples: dict[str, Samples], scale: Scale) -> None:
    rows, spent = [], []
    for engine, load in _cases():
        one = samples[engine]
        rates = {name: one.median(name, load) for name in ("sisgate", "merge", "append")}
        ratios = {name: one.ratio(name, load) for name in ("merge", "append")}
        if rates["sisgate"] is None:
            continue
        rows.append(
            [
                f"{engine}, {load}", per_second(rates["sisgate"]),
                per_second(rates["merge"]), times(ratios["merge"]),
                per_second(rates["append"]), times(ratios["append"]),
            ]
        )  # fmt: skip
        report.figures.setdefault("rates", {}).setdefault(engine, {})[load] = {
            "records_per_second": rates,
            "ratio_to_dlt": ratios,
        }
        costs = {name: one.cost(name, load) for name in ("sisgate", "merge", "append")}
        report.figures.setdefault("cpu_seconds", {}).setdefault(engine, {})[load] = costs
        spent.append([f"{engine}, {load}", *(_seconds(each) for each in costs.values())])
    report.figures["students"] = scale.students
    report.add_table(
        f"{scale.students:,} students, records per second (median of {scale.rounds})",
        ["into", "sisgate", "dlt merge", "ratio", "dlt append", "ratio"],
        rows,
    )
    columns = ["into", "sisgate", "dlt merge", "dlt append"]
    report.add_table("Processor time of a load, seconds (median)", columns, spent)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _cases() -> Iterator[tuple[str, str]]:
    for engine in ENGINES:
        for load in LOADS:
            yield engine, load


def _report_memory(report: Report, samples: dict[str, Samples], scale: Scale) -> None:
    peaks: dict[str, dict[int, float]] = {engine: {} for engine in ENGINES}
    for students in scale.memory_students:
        if students == scale.students:
            for engine in ENGINES:
                peaks[engine][students] = max(samples[engine].peaks["sisgate"]) / MEGABYTE
            continue
        with Ground(students=students) as ground:
            for engine in ENGINES:
                _, peak = sisgate_loads(ground, engine, students)
                peaks[engine][students] = peak / MEGABYTE
    dlt = {engine: max(samples[engine].peaks["merge"]) / MEGABYTE for engine in ENGINES}
    rows = []
    for engine in ENGINES:
        sizes = [f"{peaks[engine][students]:.0f}" for students in scale.memory_students]
        rows.append([engine, *sizes, f"{dlt[engine]:.0f}"])
    shown = [f"{students:,}" for students in scale.memory_students]
    columns = ["records", *shown, f"dlt, {scale.students:,}"]
    report.add_table("Peak memory of the largest worker process, MB", columns, rows)
    figures: dict[str, Any] = {"worker_peak_mb": peaks, "dlt_peak_mb": dlt}
    report.figures["memory"] = figures
