"""The price of a call: what it costs by step, beside what plain Celery needs for the same.

Three measurements. The steps of one call, in this process: SQL statements, transactions, Redis
commands and round trips, processor time of ours. Whole calls a second beside plain Celery
(`whole_calls`), and what a waiting app waits longer than without us (`request_latency`). The
provider has no limit. Accepting beside `send_task` has a section of its own, `enqueue`.
"""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import request_latency, whole_calls
from benchmarks.admission_ground import CLOCK
from benchmarks.meter import Cost, Meter, metered
from benchmarks.report import Report, tell
from benchmarks.scale import QUICK, Scale
from sisgate.admission.admitter import Admitter
from sisgate.admission.slot_sharing import Want
from sisgate.broker import Publisher
from sisgate.wakeups import Wakeups
from testbed.fleet import Fleet
from testbed.ledgers import ENGINES, ledger_of
from testbed.postgres import PostgresServer
from testbed.recorder import Recorder
from testbed.redis import RedisServer
from workers.admission.permits import Permit
from workers.calls import execute, persist
from workers.endpoints import Route

PROVIDER = "alpha"
WARM_CALLS, CALLS = 20, 200

STEPS: dict[str, tuple[Any, str]] = {
    "publish": (Publisher, "all"),
    "claim": (execute, "_claim"),
    "route": (execute, "_route"),
    "send": (execute, "_ask"),
    "report": (Route, "close"),
    "record": (persist, "record"),
    "wake": (Wakeups, "announce"),
}
"""The functions of the product that are steps of a call; `accept` and `admit` enclose theirs."""


def run(scale: Scale) -> Report:
    """Measure on both databases."""
    report = Report("price")
    quick = scale is QUICK
    postgres = PostgresServer()
    try:
        for engine in ENGINES:
            measure_steps(report, postgres, engine)
        whole_calls.measure(report, postgres, quick=quick)
        for engine in ENGINES:
            with ground(postgres, engine) as fleet:
                request_latency.measure(report, fleet, engine, 20 if quick else 100)
    finally:
        postgres.stop()
    return report


def measure_steps(report: Report, postgres: PostgresServer, engine: str) -> None:
    """Add the table of what one call costs, by step."""
    tell(f"steps of a call, {engine}")
    with ground(postgres, engine) as fleet:
        runtime = fleet._runtime
        config = fleet.settings.providers[PROVIDER]
        admitter = Admitter(runtime.redis, runtime.limiter)
        databases = {fleet.gateway.context.database, runtime.database}
        runtime.database = fleet.gateway.context.database

        def call(meter: Meter, number: int) -> None:
            with meter.step("accept"):
                fleet.gateway.enqueue_request(PROVIDER, "GET", f"/{number}")
            with meter.step("admit"):
                specs = {PROVIDER: runtime.limits(config)}
                asked_at = CLOCK.monotonic()
                (admitted,) = admitter.admit([Want(PROVIDER, 1, 1)], specs)
            (taken,) = admitted.messages
            body = json.loads(taken.text)["body"]
            permit = Permit(taken.permit, admitted.factor, asked_at)
            with meter.step("rest"):
                execute.make_call(runtime, config, _call_id(body), permit)

        with metered(runtime.database.engine, STEPS) as meter:
            for number in range(WARM_CALLS):
                call(meter, number)
            meter.costs.clear()
            for number in range(CALLS):
                call(meter, number)
        for database in databases:
            database.dispose()
    rows = [[step, *_shown(cost)] for step, cost in meter.costs.items()]
    whole = Cost()
    for cost in meter.costs.values():
        for name in ("statements", "transactions", "pings", "commands", "round_trips",
                     "cpu_seconds"):  # fmt: skip
            setattr(whole, name, getattr(whole, name) + getattr(cost, name))
    rows.append(["whole", *_shown(whole)])
    report.add_table(
        f"One call by step, {engine}",
        ["step", "statements", "transactions", "pings", "Redis commands", "round trips", "CPU ms"],
        rows,
    )
    report.figures.setdefault("steps", {})[engine] = {
        step: {
            "statements": cost.statements / CALLS, "transactions": cost.transactions / CALLS,
            "pings": cost.pings / CALLS, "commands": cost.commands / CALLS,
            "round_trips": cost.round_trips / CALLS, "cpu_ms": cost.cpu_seconds / CALLS * 1e3,
            "texts": cost.texts[: round(cost.statements / CALLS)],
        }
        for step, cost in {**meter.costs, "whole": whole}.items()
    }  # fmt: skip


def _shown(cost: Cost) -> list[str]:
    counts = (cost.statements, cost.transactions, cost.pings, cost.commands, cost.round_trips)
    return [*(f"{count / CALLS:.1f}" for count in counts), f"{cost.cpu_seconds / CALLS * 1e3:.2f}"]


def _call_id(body: str) -> int:
    return int(json.loads(b64decode(body))[1]["call_id"])


@contextmanager
def ground(postgres: PostgresServer, engine: str) -> Iterator[Fleet]:
    redis, recorder = RedisServer(), Recorder()
    try:
        with ledger_of(postgres, engine) as (folder, url):
            limits = {PROVIDER: 'limit = "off"\nmax_waiting_jobs = 1000000'}
            with Fleet(folder, redis.url, recorder, limits, database_url=url) as fleet:
                fleet.begin_counting()
                yield fleet
    finally:
        recorder.stop()
        redis.stop()
