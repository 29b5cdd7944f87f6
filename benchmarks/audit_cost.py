"""Part of `audit`: what auditing costs a call, and how appends of several processes meet."""

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil

from benchmarks.admission_ground import CLOCK, lay_calls, wait_for
from benchmarks.report import Report, per_second, tell, times
from sisgate.ledger import migrate
from sisgate.ledger.database import Database
from sisgate.redis.queues import PLANNER_QUEUE, queue_depths
from sisgate.wakeups import Wakeups
from testbed.fleet import Fleet
from testbed.ledgers import ledger_of
from testbed.postgres import PostgresServer
from testbed.recorder import Recorder
from testbed.redis import RedisServer

APPS = {"audited": "workers", "not audited": "benchmarks.unaudited"}
PROVIDER = "alpha"
APPENDING = (1, 2, 4, 8)
WAYS = {"as it is": "sealed", "one chain": "chained"}


def measure_calls(report: Report, postgres: PostgresServer, count: int, rounds: int) -> None:
    """Add the table of whole calls with and without audit, in turns of `count` calls.

    Both fleets stand side by side and take turns of a few seconds, so that what else the machine
    does meets both. The ratios are medians of those of the turns; that of the processor time that
    workers and PostgreSQL spend on a call depends least on what else the machine does.
    """
    rows, figures = [], {}
    for engine, workers in (("sqlite", 1), ("postgresql", 1), ("postgresql", 4)):
        tell(f"calls with and without audit, {engine}, {workers} workers")
        with ExitStack() as stack:
            fleets = {
                how: stack.enter_context(_fleet(postgres, engine, app, workers))
                for how, app in APPS.items()
            }
            rates: dict[str, list[float]] = {how: [] for how in APPS}
            costs: dict[str, list[float]] = {how: [] for how in APPS}
            for turn in range(-1, rounds):
                for how in sorted(APPS, reverse=bool(turn % 2)):
                    rate, cost = call_rate(fleets[how], count)
                    if turn >= 0:
                        rates[how].append(rate)
                        costs[how].append(cost * 1e3)
        medians = [f"{statistics.median(found):,.0f}" for found in rates.values()]
        spent = [f"{statistics.median(found):.2f}" for found in costs.values()]
        ratio, spent_ratio = _ratio(rates), _ratio(costs)
        rows.append([engine, str(workers), *medians, times(ratio), *spent, times(spent_ratio)])
        figures[f"{engine}, {workers} workers"] = {
            "rates": rates, "ratio": ratio, "cpu_ms": costs, "cpu_ratio": spent_ratio,
        }  # fmt: skip
    report.add_table(
        "Whole calls, limit off, sealing once a second, turns alternating",
        ["database", "workers of 2", *(f"calls/s {how}" for how in APPS), "ratio",
         *(f"CPU ms a call {how}" for how in APPS), "ratio"],
        rows,
    )  # fmt: skip
    report.figures["cost"] = figures


def measure_appends(report: Report, postgres: PostgresServer, seconds: float) -> None:
    """Add the table of transactions per second that append two events, by processes at once.

    `one chain` is what it would be with each event linked to the one before it: the head of the
    chain is locked until the commit.
    """
    rows, figures = [], {}
    with ledger_of(postgres, "postgresql") as (_, url):
        database = Database(url)
        migrate.upgrade(database)
        with database.write() as session:
            session.connection().exec_driver_sql("CREATE TABLE bench_chain (head bytea)")
            session.connection().exec_driver_sql("INSERT INTO bench_chain VALUES ('')")
        database.dispose()
        for processes in APPENDING:
            tell(f"appends of {processes} processes")
            found = {how: _append_rate(url, way, processes, seconds) for how, way in WAYS.items()}
            rows.append([str(processes), *map(per_second, found.values())])
            figures[str(processes)] = found
    report.add_table("Transactions that append to the log, per second, PostgreSQL",
                     ["processes", *WAYS], rows)  # fmt: skip
    report.figures["appends"] = figures


def _append_rate(url: str, way: str, processes: int, seconds: float) -> float:
    command = [sys.executable, "-m", "benchmarks.audit_appends", url, way, str(seconds)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for each in running:
        assert each.stdout is not None
        each.stdout.readline()
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    return sum(int(each.communicate()[0]) for each in running) / seconds


@contextmanager
def _fleet(postgres: PostgresServer, engine: str, app: str, workers: int) -> Iterator[Fleet]:
    redis, recorder = RedisServer(), Recorder()
    try:
        with ledger_of(postgres, engine) as (folder, url):
            limits = {PROVIDER: 'limit = "off"'}
            with Fleet(folder, redis.url, recorder, limits, database_url=url) as fleet:
                fleet.begin_counting()
                for _ in range(workers):
                    fleet.start_worker(PROVIDER, PLANNER_QUEUE, level="ERROR", app=app)
                fleet.start_beat()
                yield fleet
    finally:
        recorder.stop()
        redis.stop()


def _ratio(found: dict[str, list[float]]) -> float:
    ours, theirs = found.values()
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def call_rate(fleet: Fleet, count: int) -> tuple[float, float]:
    """Return calls per second, and the seconds of processor time that each takes."""
    lay_calls(fleet, PROVIDER, count)
    Wakeups(fleet.redis, CLOCK).signal_work(PROVIDER)

    def is_done() -> bool:
        return not queue_depths(fleet.redis, [PROVIDER])[PROVIDER] and not fleet.unacked()

    before = cpu_seconds(fleet)
    rate = count / wait_for(is_done, 300)
    return rate, (cpu_seconds(fleet) - before) / count


def cpu_seconds(fleet: Fleet) -> float:
    """Return the processor time so far of a fleet's workers, and of PostgreSQL."""
    below = psutil.Process().children(recursive=True)
    counted = {each for each in below if each.name().startswith("postgres")}
    for worker in fleet.workers:
        process = psutil.Process(worker.popen.pid)
        counted |= {process, *process.children(recursive=True)}
    total = 0.0
    for each in counted:
        with contextlib.suppress(psutil.NoSuchProcess):  # a connection that has just ended
            total += sum(each.cpu_times()[:2])
    return total
