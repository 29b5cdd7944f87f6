"""Accepting with a full ledger: what the dearest statement touches, and how long a repeat takes.

`python -m benchmarks acceptance` fills a ledger with a million jobs on each kind of database.
"""

import statistics
import time
import uuid

from benchmarks.report import Report, tell
from benchmarks.scale import Scale
from benchmarks.stack import DISTRICT, Ground
from testbed.ledgers import ENGINES
from testbed.statement_costs import accept_in_every_way, costs_of, fill_with_jobs

APP = "schedule/nightly"
REPEATS = 50


def run(scale: Scale) -> Report:
    """Measure both engines."""
    report, rows = Report("acceptance"), []
    with Ground() as ground:
        for engine in ENGINES:
            with ground.product(engine) as product:
                gateway = product.gateway
                tell(f"{engine}: {scale.ledger_jobs:,} jobs")
                fill_with_jobs(
                    gateway.context.database, scale.ledger_jobs, provider=DISTRICT, app=APP
                )
                new_ms: list[float] = []
                repeat_ms: list[float] = []
                for _ in range(REPEATS):
                    task = str(uuid.uuid4())
                    for found in (new_ms, repeat_ms):
                        begun = time.perf_counter()
                        gateway.sync(DISTRICT, "students", app=APP, job_id=task)
                        found.append((time.perf_counter() - begun) * 1000)
                with costs_of(gateway.context.database) as costs:
                    accept_in_every_way(gateway, DISTRICT, APP)
            cost, statement = costs.dearest
            new, repeat = statistics.median(new_ms), statistics.median(repeat_ms)
            rows.append([engine, f"{new:.1f}", f"{repeat:.1f}", f"{cost:,}"])
            report.figures[engine] = {
                "new_ms": new, "repeat_ms": repeat, "statements": len(costs.most),
                "dearest": cost, "dearest_statement": statement,
            }  # fmt: skip
    report.figures["jobs"] = scale.ledger_jobs
    report.add_table(
        f"{scale.ledger_jobs:,} jobs in the ledger",
        ["ledger", "new job, ms", "repeated task id, ms", "dearest statement"],
        rows,
    )
    report.notes.append("Dearest: rows touched in PostgreSQL's plan, steps of SQLite's machine.")
    return report
