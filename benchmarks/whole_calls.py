"""Whole calls beside plain Celery, whose task makes the same GET and commits one row.

Turns alternate. As in the compose file, calls and planner have a worker each, and beat runs; their
processor time counts as ours. With many threads the provider takes its time, else it answers at
once.
"""

import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.admission_ground import CLOCK, lay_calls, wait_for
from benchmarks.audit_cost import cpu_seconds
from benchmarks.plain_calls import PLAIN_QUEUE, TASK, make_table
from benchmarks.report import Report, per_second, tell, times
from sisgate.redis.queues import PLANNER_QUEUE, queue_depths
from sisgate.wakeups import Wakeups
from testbed.fleet import Fleet, message
from testbed.ledgers import ledger_of
from testbed.postgres import PostgresServer
from testbed.recorder import Recorder
from testbed.redis import RedisServer

PROVIDER = "alpha"
PATIENCE_SECONDS = 300
SLOW_SECONDS = 0.3


@dataclass(frozen=True)
class Case:
    """One row: the pool of either worker, and how long the provider takes."""

    engine: str
    slots: int
    pool: str = "prefork"
    latency_seconds: float = 0.0
    fsync: bool = False

    def __str__(self) -> str:
        slots = f"{self.slots} {'processes' if self.pool == 'prefork' else self.pool}"
        return f"{self.engine}{' with fsync' if self.fsync else ''}, {slots}"


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the rows."""
    for slots in (2,) if quick else (2, 4, 8):
        yield Case("sqlite", slots)
        yield Case("postgresql", slots)
        yield Case("postgresql", slots, fsync=True)
    for engine in ("sqlite", "postgresql"):
        yield Case(engine, 100, "threads", SLOW_SECONDS)


def measure(report: Report, postgres: PostgresServer, *, quick: bool) -> None:
    """Add the table of all cases."""
    rows, figures = [], {}
    for case in cases(quick=quick):
        tell(f"whole calls, {case}")
        count, rounds = (200, 2) if quick else (400, 5)
        if case.pool == "threads":
            count, rounds = 1000, 2
        rates, cpu = _measured(postgres, case, count, rounds)
        ratio = rates["sisgate"] / rates["plain Celery"]
        of_cpu = cpu["plain Celery"] / cpu["sisgate"]
        rows.append(
            [str(case), *map(per_second, rates.values()), times(ratio),
             *(f"{ms:.2f}" for ms in cpu.values()), times(of_cpu)]
        )  # fmt: skip
        figures[str(case)] = {"per_second": rates, "ratio": ratio, "cpu_ms": cpu}
    report.add_table(
        "Whole calls, limit off",
        ["database, slots", "calls/s", "plain", "ratio", "CPU ms", "plain", "ratio"],
        rows,
    )
    report.figures["calls"] = figures


def _measured(
    postgres: PostgresServer, case: Case, count: int, rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    ways = {"sisgate": _our_rate, "plain Celery": _plain_rate}
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with _ground(postgres, case) as fleet:
        for turn in range(-1, rounds):
            for way in sorted(ways, reverse=bool(turn % 2)):
                measured = ways[way](fleet, count)
                if turn >= 0:
                    found[way].append(measured)
    rates = {way: statistics.median(rate for rate, _ in of) for way, of in found.items()}
    return rates, {way: statistics.median(ms for _, ms in of) for way, of in found.items()}


@contextmanager
def _ground(postgres: PostgresServer, case: Case) -> Iterator[Fleet]:
    redis, recorder = RedisServer(), Recorder(lambda: case.latency_seconds)
    server = PostgresServer(durable=True) if case.fsync else postgres
    try:
        with ledger_of(server, case.engine) as (folder, database):
            limits = {PROVIDER: 'limit = "off"\nmax_waiting_jobs = 1000000'}
            with Fleet(folder, redis.url, recorder, limits, database_url=database) as fleet:
                fleet.begin_counting()
                with fleet.gateway.context.database.write() as session:
                    make_table(session.connection())
                for app, queue in (("workers", PROVIDER), ("benchmarks.plain_calls", PLAIN_QUEUE)):
                    fleet.start_worker(
                        queue, app=app, pool=case.pool, concurrency=case.slots, level="ERROR",
                        BENCH_URL=recorder.url(PROVIDER),
                    )  # fmt: skip
                fleet.start_worker(PLANNER_QUEUE, concurrency=1, level="ERROR")
                fleet.start_beat()
                yield fleet
    finally:
        if server is not postgres:
            server.stop()
        recorder.stop()
        redis.stop()


def _our_rate(fleet: Fleet, count: int) -> tuple[float, float]:
    """Return calls a second, and the milliseconds of processor time of one."""
    fleet.limiter.pause(PROVIDER)
    lay_calls(fleet, PROVIDER, count)
    wakeups = Wakeups(fleet.redis, CLOCK)

    def begin() -> None:
        fleet.limiter.resume(PROVIDER)
        wakeups.signal_work(PROVIDER)

    return _rate(fleet, count, begin, lambda: not queue_depths(fleet.redis, [PROVIDER])[PROVIDER])


def _plain_rate(fleet: Fleet, count: int) -> tuple[float, float]:
    pipe = fleet.redis.pipeline(transaction=False)
    for number in range(count):
        made = message(TASK, {"number": number}, PLAIN_QUEUE)
        pipe.lpush(PLAIN_QUEUE, json.dumps(made))
    return _rate(fleet, count, pipe.execute, lambda: not fleet.redis.llen(PLAIN_QUEUE))


def _rate(
    fleet: Fleet, count: int, begin: Callable[[], object], is_taken: Callable[[], bool]
) -> tuple[float, float]:
    before = cpu_seconds(fleet)
    begin()
    seconds = wait_for(lambda: is_taken() and not fleet.unacked(), PATIENCE_SECONDS)
    return count / seconds, (cpu_seconds(fleet) - before) / count * 1e3
