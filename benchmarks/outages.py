"""The outages section: how many syncs an outage ends, by its length and by what was being read.

Every case is a provider of its own with real workers and the proportions of the defaults; a second
here stands for ten, so that outages of 5 to 300 s take half a minute together.
"""

import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.admission_ground import wait_for
from benchmarks.report import Report, tell
from benchmarks.scale import QUICK, Scale
from sisgate.sandbox.process import SandboxProcess
from testbed.provider import WAYS, Answer, Answered, Asked, Provider
from testbed.redis import RedisServer
from testbed.stack import Stack, running

SECONDS = (5, 10, 20, 25, 30, 60, 120, 300)
SCALE = 10.0
AFTER_REQUESTS = 2
MANY = 4
DEFAULTS: dict[str, Any] = {
    "auth": "none",
    "page_size": 20,
    "limit": "off",
    "retry": {"base_seconds": 2 / SCALE, "cap_seconds": 120 / SCALE},
    "breaker": {
        "open_seconds": 30 / SCALE,
        "open_cap_seconds": 600 / SCALE,
        "healthy_seconds": 600 / SCALE,
        "window_seconds": 60 / SCALE,
    },
}


@dataclass
class Case:
    """One provider, its outage, and the jobs that met it."""

    kind: str
    jobs: int
    seconds: float
    server: Provider
    begun_at: float | None = None
    asked: int = 0
    failed: int = 0

    @property
    def name(self) -> str:
        """The provider's name."""
        return f"{self.kind.replace(' ', '-')}-{self.jobs}-{self.seconds:g}"

    def answer(self, honest: Answer, asked: Asked) -> Answered:
        """Fail from the third request on, for as long as the outage lasts."""
        self.asked += 1
        now = time.monotonic()
        if self.begun_at is None and self.asked > AFTER_REQUESTS * (self.kind != "request"):
            self.begun_at = now
        if self.begun_at is not None and now < self.begun_at + self.seconds / SCALE:
            self.failed += 1
            return Answered({"message": "unavailable"}, 503)
        return honest(asked)


def run(scale: Scale) -> Report:
    """Measure everything: two to four minutes, with `--quick` one."""
    lengths = SECONDS[:5] if scale == QUICK else SECONDS
    cases = []
    for kind, jobs, seconds in product(WAYS, (1, MANY), lengths):
        case = Case(kind, jobs, seconds, Provider(lambda _: Answered({})))
        case.server.answer = partial(case.answer, WAYS[kind][1])
        cases.append(case)
    tell(f"{len(cases)} outages, {sum(case.jobs for case in cases)} jobs")
    redis = RedisServer()
    try:
        with tempfile.TemporaryDirectory(prefix="sisgate-bench-") as folder:
            return _report(cases, _ended(Path(folder), redis.url, cases))
    finally:
        redis.stop()
        for case in cases:
            case.server.stop()


def _ended(folder: Path, redis_url: str, cases: list[Case]) -> dict[str, Counter[str]]:
    """Let every case happen; return how its jobs ended."""
    districts = {
        case.name: SimpleNamespace(
            kind=WAYS[case.kind][0], url=case.server.url, token_url=case.server.url,
            oneroster_base=None, client_id="id", client_secret="secret",
        )
        for case in cases
    }  # fmt: skip
    stack = Stack(
        folder,
        cast("SandboxProcess", SimpleNamespace(districts=districts)),
        redis_url=redis_url,
        database_url=f"sqlite:///{folder / 'ledger.sqlite3'}",
        options=dict.fromkeys(districts, DEFAULTS),
    )
    with running(stack, concurrency=4):
        jobs = {case.name: [_begin(stack, case) for _ in range(case.jobs)] for case in cases}

        def states(name: str) -> Counter[str]:
            return Counter(stack.gateway.jobs.status(job).state.value for job in jobs[name])

        def all_ended() -> bool:
            return not any({"accepted", "running"} & set(states(case.name)) for case in cases)

        wait_for(all_ended, 420, every=2.0)
        return {case.name: states(case.name) for case in cases}


def _begin(stack: Stack, case: Case) -> str:
    if case.kind == "request":
        path = "/ims/oneroster/rostering/v1p2/orgs"
        return stack.gateway.enqueue_request(case.name, "GET", path, timeout=3600).id
    resource = "enrollments" if case.kind == "powerquery" else "students"
    return stack.gateway.sync(case.name, resource, mode="full").id


def _report(cases: list[Case], ended: dict[str, Counter[str]]) -> Report:
    report = Report("outages")
    rows, jobs, lost = [], 0, 0
    for kind, many in product(WAYS, (1, MANY)):
        mine = [case for case in cases if (case.kind, case.jobs) == (kind, many)]
        total = sum((ended[case.name] for case in mine), Counter[str]())
        jobs, lost = jobs + total.total(), lost + total.total() - total["done"]
        most = max(case.failed for case in mine)
        rows.append([f"{kind}, {many} at once", str(total.total()), str(total["done"]), str(most)])
    lengths = sorted({case.seconds for case in cases})
    report.add_table(
        f"Outages of {lengths[0]:g} to {lengths[-1]:g} s: {lost} of {jobs} jobs failed",
        ["what was read", "jobs", "done", "most failed requests of an outage"],
        rows,
    )
    report.notes.append(f"{len(cases)} outages, each of a provider; one second stands for ten.")
    report.figures["outages"] = {
        "jobs": jobs,
        "failed": lost,
        "cases": {case.name: [dict(ended[case.name]), case.failed] for case in cases},
    }
    return report
