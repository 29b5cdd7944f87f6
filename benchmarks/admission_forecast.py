"""Part of `admission`: how near the forecasts come to what then happens."""

import random
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select

from benchmarks.admission_ground import CLOCK, percentile
from benchmarks.report import Report, tell
from benchmarks.stack import DISTRICT, Ground, Product
from sisgate.gateway import Job
from sisgate.ledger.schema import Call
from testbed.fleet import Process

LIMIT = {"limit": "60/10s", "page_size": 100}
RESOURCES = ("students", "enrollments", "classes")
LEAST_SECONDS = 2.0
"""Of what begins sooner a part is measured that means nothing: a tenth of 20 ms is no promise."""


@dataclass(frozen=True)
class Forecast:
    """Seconds from asking to what was forecast and to what came."""

    what: str
    expected: float
    actual: float

    @property
    def error(self) -> float:
        """The difference as a part of what came."""
        return abs(self.expected - self.actual) / self.actual


def run_rounds(rounds: int) -> list[Forecast]:
    """Ask at enqueueing when each request starts and each sync is done, and then look."""
    rng, found = random.Random(7), []
    with Ground(students=1_000) as ground, _product(ground) as product:
        for resource in RESOURCES:
            product.gateway.sync(DISTRICT, resource, mode="full").wait(timeout=300)
        for turn in range(rounds):
            tell(f"forecasts, round {turn + 1} of {rounds}")
            requests = [_request(product) for _ in range(rng.randint(60, 240))]
            job = product.gateway.sync(DISTRICT, RESOURCES[turn % len(RESOURCES)], mode="full")
            done_by, asked_at = job.expected_finish, CLOCK.now()
            ended_at = job.wait(timeout=300).ended_at
            assert done_by is not None
            assert ended_at is not None
            seconds = [(at - asked_at).total_seconds() for at in (done_by, ended_at)]
            found.append(Forecast("sync, end", *seconds))
            found += [_outcome(product, *asked) for asked in requests]
    return found


def _request(product: Product) -> tuple[Job, float, float]:
    """Enqueue a request; return it, when it was asked about and when it was said to start."""
    job = product.gateway.enqueue_request(DISTRICT, "GET", "/ims/oneroster/v1p2/orgs",
                                          query={"limit": "1"}, priority="normal")  # fmt: skip
    starts_at = job.expected_start
    assert starts_at is not None
    return job, CLOCK.now().timestamp(), starts_at.timestamp()


def _outcome(product: Product, job: Job, asked_at: float, expected_at: float) -> Forecast:
    job.wait(timeout=300)
    with product.gateway.context.database.read() as session:
        started_at = session.scalar(select(Call.started_at).where(Call.job_id == job.id))
    assert started_at is not None
    return Forecast("request, start", expected_at - asked_at, started_at.timestamp() - asked_at)


@contextmanager
def _product(ground: Ground) -> Iterator[Product]:
    with ground.product("sqlite", **LIMIT) as product:
        folder = product.log_path.parent
        command = f"-A workers beat -s {folder / 'beat'} -l WARNING"
        product.begin()
        beat = Process(command, (), product.environment(), folder / "beat.log")
        try:
            yield product
        finally:
            beat.end()


def measure(report: Report) -> None:
    """Add the table of forecasts."""
    found = run_rounds(2)
    rows = []
    for what in ("request, start", "sync, end"):
        waits = [f for f in found if f.what == what and f.actual >= LEAST_SECONDS]
        errors = [f.error for f in waits]
        median, ninth = statistics.median(errors), percentile(errors, 0.9)
        longest = max(f.actual for f in waits)
        rows.append([what, str(len(waits)), f"{longest:.0f}", f"{median:.1%}", f"{ninth:.1%}"])
        report.figures.setdefault("forecast", {})[what] = {
            "count": len(waits), "longest_s": longest, "median_error": median, "p90_error": ninth,
        }  # fmt: skip
    report.add_table(
        f"Forecasts at enqueueing, of what waits {LEAST_SECONDS:g} s or more (60/10s)",
        ["forecast", "asked", "longest wait s", "median error", "90 % below"],
        rows,
    )
