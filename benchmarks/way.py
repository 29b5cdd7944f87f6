"""The way section: which files of the product one sync passes, from `Gateway.sync` to its end.

Counted are the modules of `sisgate` and `workers` of which a function runs. Gateway and worker are
one process here: a real Celery worker with the pool `solo` in a thread, and a district that wants
access tokens. The second sync of a dataset is looked at, so that what is made once per process is
made. Not counted: modules that are only imported, and what runs beside every sync (heartbeats).
"""

import importlib
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from celery.contrib.testing.worker import start_worker

from benchmarks.report import Report
from benchmarks.scale import Scale
from benchmarks.stack import DISTRICT, Ground, Product
from sisgate.gateway import JobStatus

ROOT = Path(__file__).parents[1]
PRODUCT = tuple(f"{ROOT / package}/" for package in ("sisgate", "workers"))
BESIDE = ("workers/maintenance/heartbeats.py", "sisgate/liveness/")
STUDENTS = 2500
"""Three pages of 1000."""
PATIENCE_SECONDS = 120.0


class Trace:
    """The functions of the product that run while it is on, by file."""

    def __init__(self) -> None:
        self.is_on = False
        self.functions: defaultdict[str, set[str]] = defaultdict(set)

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Be told of a call, by `sys.setprofile`."""
        if not self.is_on or event != "call":
            return
        code = frame.f_code
        if code.co_filename.startswith(PRODUCT) and code.co_name != "<module>":
            path = str(Path(code.co_filename).relative_to(ROOT))
            if not path.startswith(BESIDE):
                self.functions[path].add(code.co_qualname)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Listen for the length of a `with` block."""
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False


def run(_: Scale) -> Report:
    """Count: half a minute."""
    trace = Trace()
    with Ground(students=STUDENTS) as ground, ground.product("sqlite") as product:
        threading.setprofile(trace)
        sys.setprofile(trace)
        try:
            with _worker():
                _sync(product)
                with trace.on():
                    status = _sync(product)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    assert status.state == "done", status
    files = {path: sorted(names) for path, names in sorted(trace.functions.items())}
    functions = sum(len(names) for names in files.values())
    report = Report("way", figures={"files": len(files), "functions": functions, "way": files})
    rows = [(path, str(len(names))) for path, names in files.items()]
    report.add_table("The way of a sync", ("file", "functions"), rows)
    report.notes.append(f"{len(files)} files, {functions} functions")
    return report


def _sync(product: Product) -> JobStatus:
    job = product.gateway.sync(DISTRICT, "students", mode="full")
    return product.gateway.jobs.wait(job.id, PATIENCE_SECONDS)


@contextmanager
def _worker() -> Iterator[None]:
    # Built when it is imported, from the environment, which the product has set for its processes.
    app = importlib.import_module("workers.app").celery
    reconciler = importlib.import_module("workers.maintenance.reconciler")
    app.steps["consumer"].discard("workers.maintenance.heartbeats:WorkerHeartbeat")
    reconciler.reconcile(app.sisgate_runtime())  # as beat would: the limiter begins to count
    queues = ["sisgate", DISTRICT]
    with start_worker(app, pool="solo", queues=queues, perform_ping_check=False):
        yield
