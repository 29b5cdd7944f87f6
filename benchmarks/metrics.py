"""The metrics section: counting calls, a scrape of a large fleet, service levels, alerts."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.report import Report, tell
from benchmarks.scale import QUICK, Scale
from sisgate import Gateway
from sisgate.audit import log, sealer
from sisgate.domain.call_results import CALL_OUTCOME
from sisgate.domain.periods import Period
from sisgate.domain.priorities import Priority
from sisgate.domain.response_class import Outcome
from sisgate.ledger import migrate, rollups
from sisgate.ledger.call_outcomes import EndedCall
from sisgate.monitoring.counting import count_next, tallied
from testbed.heartbeats import be_heard
from testbed.installation import install
from testbed.ledgers import ENGINES, ledger_of
from testbed.postgres import PostgresServer
from testbed.redis import RedisServer

CALLS, QUICK_CALLS = 1_000_000, 50_000
COUNTED = 20_000
FLEETS = ((300, 300, 1.0), (10_000, 50, 0.1))
"""Providers, how many of them are at work, and the share of the calls that they made."""

ROUNDS = 5
SPAN = timedelta(days=30)
RESOURCES = ("orgs", "students", "classes", "enrollments")
NOW = datetime.now(UTC).replace(microsecond=0)


def run(scale: Scale) -> Report:
    """Measure on both databases."""
    report = Report("metrics")
    calls = QUICK_CALLS if scale == QUICK else CALLS
    with ExitStack() as exits:
        redis, postgres = RedisServer(), PostgresServer()
        exits.callback(redis.stop)
        exits.callback(postgres.stop)
        for engine in ENGINES:
            for providers, busy, share in FLEETS:
                made = round(calls * share)
                redis.wipe()
                with ledger_of(postgres, engine) as (folder, url):
                    gateway = fleet_of(folder, redis.url, url, providers)
                    try:
                        tell(f"{engine}: {providers:,} providers, {made:,} calls of {busy}")
                        _of_fleet(report, engine, gateway, busy, made)
                    finally:
                        gateway.close()
            with ledger_of(postgres, engine) as (folder, url):
                gateway = fleet_of(folder, redis.url, url, 20)
                tell(f"{engine}: counting {COUNTED:,} calls")
                _counting(report, engine, gateway)
                gateway.close()
    columns = ["", "ms", "ms of our processor", "samples"]
    report.add_table("A scrape, and service levels of 30 days", columns, _ROWS)
    report.notes.append("the median of five; the machine may be busy")
    return report


_ROWS: list[list[str]] = []


def fleet_of(folder: Path, redis_url: str, url: str, providers: int) -> Gateway:
    tables = [
        f'[providers.p{n}]\nkind = "oneroster"\nauth = "none"\nlimit = "500/h"\n'
        f'objectives = {{ availability = 0.99, latency_p95 = "2s", freshness = "1d" }}\n'
        f'[[providers.p{n}.endpoints]]\nurl = "https://p{n}.example"\n'
        for n in range(providers)
    ]
    settings = install(folder, "\n".join(tables), redis_url=redis_url, database_url=url)
    gateway = Gateway(settings)
    migrate.upgrade(gateway.context.database)
    return gateway


def _of_fleet(report: Report, engine: str, gateway: Gateway, busy: int, calls: int) -> None:
    fleet = gateway.configuration.current()
    leave_work(gateway, busy)
    _count_many(gateway, busy, calls)
    be_heard(gateway)
    name = f"{engine}, {len(fleet.providers):,} providers, {busy} at work, {calls:,} calls"
    samples = gateway.fleet.openmetrics().count("\n")
    figures: dict[str, object] = {"samples": samples, "calls": calls}
    for what, do in {
        "scrape": gateway.fleet.openmetrics,
        "sla of one": lambda: gateway.sla.of("p0"),
        "sla of all": gateway.sla.list,
        "month's report": lambda: gateway.sla.report("p0", f"{NOW:%Y-%m}"),
        "evaluation of alerts": gateway.alerts.evaluate,
    }.items():
        wall, own = _median(do)
        _ROWS.append(
            [f"{name}: {what}", f"{1000 * wall:,.0f}", f"{1000 * own:,.0f}",
             f"{samples:,}" if what == "scrape" else ""]
        )  # fmt: skip
        figures[what] = {"seconds": wall, "processor_seconds": own}
    report.figures[f"{engine}_{len(fleet.providers)}"] = figures


def leave_work(gateway: Gateway, busy: int) -> None:
    """Leave what working providers leave in Redis."""
    fleet = gateway.configuration.current()
    for number in range(busy):
        config = fleet.providers[f"p{number}"]
        spec = gateway.context.limits(config)
        gateway.context.limiter.rebuild(config.name, spec, [])
        gateway.context.limiter.take(config.name, spec, Priority.NORMAL, 20)
        breakers = gateway.context.breakers(config)
        token = breakers.ask(config.endpoints[0].url).token
        assert token is not None
        breakers.report(config.endpoints[0].url, token, Outcome.SUCCESS, 0.1)
    gateway.enqueue_request("p0", "GET", "/x")


def _count_many(gateway: Gateway, busy: int, calls: int) -> None:
    draw = random.Random(1)
    batch = 50_000
    for seal, start in enumerate(range(0, calls, batch)):
        size = min(batch, calls - start)
        tallies = tallied(_ends(draw, busy, size, start / calls, size / calls))
        with gateway.context.database.write() as session:
            assert rollups.advance(session, was=seal, seal=seal + 1, counted_to=NOW)
            rollups.add(session, tallies)
    with gateway.context.database.write() as session:
        session.connection().exec_driver_sql(
            "ANALYZE rollups" if session.get_bind().dialect.name == "postgresql" else "ANALYZE"
        )


def _ends(
    draw: random.Random, busy: int, count: int, begun: float, share: float
) -> Iterator[EndedCall]:
    """Ends of calls in the order of time, of the busy providers, some of them bad."""
    for number in range(count):
        # By the hour, since minutes are not kept.
        at = NOW - SPAN * (1 - begun) + SPAN * (number / count) * share
        yield EndedCall(
            Period.HOUR.begin_of(min(at, NOW)), f"p{draw.randrange(busy)}", _detail(draw)
        )


def _detail(draw: random.Random) -> dict[str, Any]:
    status = draw.choices((200, 404, 429, 503), (970, 10, 10, 10))[0]
    return {
        "outcome": "done", "endpoint": "https://sis.example", "status": status, "rows": 100,
        "priority": draw.choice((3, 9)), "resource": draw.choice(RESOURCES),
        "ms": {
            "queue": draw.expovariate(1 / 5000), "permit": draw.expovariate(1 / 3000),
            "ledger": draw.expovariate(1 / 3), "provider": draw.expovariate(1 / 300),
        },
    }  # fmt: skip


def _counting(report: Report, engine: str, gateway: Gateway) -> None:
    """From sealed events of the audit log to rollups, by the duty's own function."""
    draw, database, clock = random.Random(1), gateway.context.database, gateway.context.clock
    for start in range(0, COUNTED, 500):
        with database.write() as session:
            for number in range(start, start + 500):
                log.record(
                    session, clock.now(), actor="worker", action=CALL_OUTCOME,
                    subject=f"call/{number}", provider=f"p{number % 20}", **_detail(draw),
                )  # fmt: skip
        sealer.seal(database, gateway.context.audit_keys, clock)
    begun = time.process_time()
    while count_next(database):
        pass
    seconds = (time.process_time() - begun) / COUNTED
    _ROWS.append([f"{engine}: counting a call", "", f"{1000 * seconds:.3f}", ""])
    report.figures[f"{engine}_counting_seconds_per_call"] = seconds


def _median(do: Callable[[], object]) -> tuple[float, float]:
    """Return the median time that passed, and that of our own processor."""
    took = []
    for _ in range(ROUNDS):
        begun, used = time.perf_counter(), time.process_time()
        do()
        took.append((time.perf_counter() - begun, time.process_time() - used))
    walls, own = zip(*took, strict=True)
    return sorted(walls)[ROUNDS // 2], sorted(own)[ROUNDS // 2]
