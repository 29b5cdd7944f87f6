"""Accepting jobs: `Gateway.sync` beside plain Celery `send_task` to the same Redis.

`send_task` puts a message into Redis. `Gateway.sync` commits the job to the ledger first, so that
it survives whatever happens to Redis, and then publishes. No worker runs. Slices of the contenders
alternate; the time of the ledger alone is measured too, to show where the difference lies.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable

from celery import Celery

from benchmarks.report import Report, per_second, times
from benchmarks.scale import Scale
from benchmarks.stack import DISTRICT, Ground, Product
from sisgate.clock import SystemClock
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind
from sisgate.ledger import jobs
from sisgate.ledger.jobs import NewJob
from testbed.ledgers import ENGINES

SLICES = 10
PLAIN = "celery send_task"
OURS = "sisgate"
LEDGER = "ledger alone"


def run(scale: Scale) -> Report:
    """Measure both engines."""
    report = Report("enqueue")
    rows = []
    with Ground() as ground:
        for engine in ENGINES:
            with ground.product(engine) as product:
                rates = _rates(_contenders(product, ground.redis.url), scale.jobs)
            ratio = rates[OURS] / rates[PLAIN]
            shown = [per_second(rates[name]) for name in (OURS, PLAIN)]
            rows.append([engine, *shown, times(ratio), per_second(rates[LEDGER])])
            report.figures[engine] = {"jobs_per_second": rates, "ratio_to_send_task": ratio}
    report.figures["jobs"] = scale.jobs
    report.add_table(
        f"{scale.jobs:,} jobs, per second (median of {SLICES} slices)",
        ["ledger", OURS, PLAIN, "ratio", LEDGER],
        rows,
    )
    report.notes.append("One caller, one job at a time: each is durable before the next begins.")
    return report


def _contenders(product: Product, redis_url: str) -> dict[str, Callable[[], object]]:
    plain = Celery("plain", broker=redis_url, set_as_current=False)
    plain.conf.task_ignore_result = True
    gateway = product.gateway
    clock = SystemClock()

    def accept() -> None:
        job = NewJob(
            str(uuid.uuid4()), JobKind.SYNC, "bench", "elsewhere", Priority.NORMAL, "students"
        )
        now = clock.now()
        with gateway.context.database.write() as session:
            jobs.accept(session, job, now, published_at=now)

    return {
        OURS: lambda: gateway.sync(DISTRICT, "students"),
        PLAIN: lambda: plain.send_task(
            "bench.nothing", kwargs={"job_id": str(uuid.uuid4())}, queue="bench"
        ),
        LEDGER: accept,
    }


def _rates(contenders: dict[str, Callable[[], object]], jobs_wanted: int) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in contenders}
    each = max(1, jobs_wanted // SLICES)
    for enqueue in contenders.values():
        enqueue()  # connections are made
    for _ in range(SLICES):
        for name, enqueue in contenders.items():
            begun = time.perf_counter()
            for _ in range(each):
                enqueue()
            found[name].append(each / (time.perf_counter() - begun))
    return {name: statistics.median(rates) for name, rates in found.items()}
