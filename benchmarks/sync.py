"""Students from a sandbox into SQL: sisgate beside dlt's REST API source, and a worker's memory.

Both read the same server in pages of 1000 and write to the same kind of database; rounds alternate.
sisgate is timed from accepting the job to its end, with its workers running; dlt from `run` to its
end, without start-up. dlt's `merge` is the equivalent of what sisgate does; `append` compares
nothing and is shown as the least that loading costs dlt. sisgate keeps besides a hash and the
original of each record, a change feed and a ledger of calls.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.report import Report, per_second, times
from benchmarks.scale import Scale
from benchmarks.stack import DISTRICT, WORKER_PROCESSES, Ground
from testbed.ledgers import ENGINES

SYNC_SECONDS = 600.0
DLT_SECONDS = 600.0
LOADS = ("first", "unchanged")
MEGABYTE = 1_000_000


@dataclass
class Samples:
    """Records per second by contender and load, and peaks of memory in bytes."""

    rates: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    peaks: dict[str, list[int]] = field(default_factory=dict)

    def add(self, contender: str, seconds: list[float], students: int, peak: int) -> None:
        """Note the loads of one run, in order."""
        for load, each in zip(LOADS, seconds, strict=False):
            self.rates.setdefault((contender, load), []).append(students / each)
        self.peaks.setdefault(contender, []).append(peak)

    def median(self, contender: str, load: str) -> float | None:
        """Return the median rate, or None where that load was not measured."""
        found = self.rates.get((contender, load))
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
        "dlt has no second merge into SQLite here: it deletes row by row and takes minutes.",
        "PostgreSQL runs without fsync for both; sisgate's SQLite commits durably.",
    ]
    return report


def _rounds(ground: Ground, engine: str, scale: Scale) -> Samples:
    samples = Samples()
    loads = len(LOADS) if engine == "postgresql" else 1
    for _ in range(scale.rounds):
        seconds, peak = sisgate_loads(ground, engine, scale.students)
        samples.add("sisgate", seconds, scale.students, peak)
        seconds, peak = dlt_loads(ground, engine, "merge", scale.students, loads=loads)
        samples.add("merge", seconds, scale.students, peak)
        seconds, peak = dlt_loads(ground, engine, "append", scale.students, loads=1)
        samples.add("append", seconds, scale.students, peak)
    return samples


def sisgate_loads(ground: Ground, engine: str, students: int) -> tuple[list[float], int]:
    """Sync twice; return the seconds of each and the largest peak of a worker process."""
    with ground.product(engine) as product:
        product.begin()
        seconds = []
        for expected in (students, 0):
            begun = time.perf_counter()
            status = product.gateway.sync(DISTRICT, "students", mode="full").wait(SYNC_SECONDS)
            seconds.append(time.perf_counter() - begun)
            if not status.complete or status.inserted != expected or status.updated:
                raise RuntimeError(f"the sync did not do what was measured: {status}")
        return seconds, product.worker_peak_bytes()


def dlt_loads(
    ground: Ground, engine: str, disposition: str, students: int, *, loads: int
) -> tuple[list[float], int]:
    """Load with dlt in a process of its own; return the seconds of each load and its peak."""
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
    return answer["seconds"], answer["peak_bytes"]


def _report_rates(report: Report, samples: dict[str, Samples], scale: Scale) -> None:
    rows = []
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
    report.figures["students"] = scale.students
    report.add_table(
        f"{scale.students:,} students, records per second (median of {scale.rounds})",
        ["into", "sisgate", "dlt merge", "ratio", "dlt append", "ratio"],
        rows,
    )


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
