"""Accepting jobs beside plain Celery's `send_task` to the same Redis: processor time of the caller.

`send_task` puts a message into Redis. sisgate commits the job, its call and an audit event to the
ledger first, so that it survives whatever happens to Redis, and then publishes. No worker runs.
Slices of the contenders alternate. SQLite runs in the caller's process, PostgreSQL does not.
"""

import statistics
import time
import uuid
from collections.abc import Callable

from celery import Celery

from benchmarks.report import Report, per_second, tell, times
from benchmarks.scale import QUICK, Scale
from benchmarks.stack import DISTRICT, Ground, Product
from sisgate import NewRequest
from testbed.ledgers import ENGINES

SLICES = 10
PLAIN = "send_task"
PATH = "/ims/oneroster/v1p1/orgs"

Contender = tuple[Callable[[], object], int]
"""What is run, and how many jobs each run enqueues."""


def run(scale: Scale) -> Report:
    """Measure both engines."""
    report = Report("enqueue")
    bulk = 2_000 if scale is QUICK else 10_000
    rows = []
    with Ground() as ground:
        for engine in ENGINES:
            tell(f"enqueuing, {engine}")
            with ground.product(engine, max_waiting_jobs=10**7) as product:
                found = _measure(_contenders(product, ground.redis.url, bulk), scale.jobs)
            report.figures[engine] = found
            for name, (milliseconds, rate) in found.items():
                ratio = milliseconds / found[PLAIN][0]
                shown = [f"{milliseconds:.3f}", times(ratio), per_second(rate)]
                rows.append([f"{engine}, {name}", *shown])
    report.add_table(
        f"Enqueuing one job (median of {SLICES} slices)",
        ["", "CPU ms", "of send_task", "per second"],
        rows,
    )
    report.notes.append("One caller. Each job or bulk is durable before the next one begins.")
    return report


def _contenders(product: Product, redis_url: str, bulk: int) -> dict[str, Contender]:
    plain = Celery("plain", broker=redis_url, set_as_current=False)
    plain.conf.task_ignore_result = True
    gateway = product.gateway

    def send() -> None:
        plain.send_task("bench.nothing", kwargs={"job_id": str(uuid.uuid4())}, queue="bench")

    def enqueue() -> None:
        gateway.enqueue([NewRequest(DISTRICT, "GET", f"{PATH}/{n}") for n in range(bulk)])

    return {
        PLAIN: (send, 1),
        "sync": (lambda: gateway.sync(DISTRICT, "students"), 1),
        "enqueue_request": (lambda: gateway.enqueue_request(DISTRICT, "GET", PATH), 1),
        f"enqueue, {bulk:,} requests": (enqueue, bulk),
    }


def _measure(contenders: dict[str, Contender], jobs: int) -> dict[str, tuple[float, float]]:
    """Return each one's processor time for a job in ms, and its jobs per second."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for turn in range(-1, SLICES):  # the first makes connections and renders statements
        for name, (enqueue, count) in contenders.items():
            runs = max(1, jobs // SLICES // count)
            used, begun = time.process_time(), time.perf_counter()
            for _ in range(runs):
                enqueue()
            used, took = time.process_time() - used, time.perf_counter() - begun
            if turn >= 0:
                found[name].append((used / runs / count * 1e3, runs * count / took))
    return {
        name: (statistics.median(ms for ms, _ in each), statistics.median(rate for _, rate in each))
        for name, each in found.items()
    }
