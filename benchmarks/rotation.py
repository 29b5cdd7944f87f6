"""The rotation section: SIGKILL at every step of a rotation, under a load of calls."""

import tempfile
import threading
import time
from collections import Counter
from itertools import product
from pathlib import Path

from benchmarks.report import Report
from benchmarks.scale import QUICK, Scale
from sisgate.sandbox.process import SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from testbed import rotating
from testbed.postgres import PostgresServer
from testbed.redis import RedisServer
from testbed.rotating import MOMENTS, STEPS, Load, Rotating
from testbed.stack import Stack

PROVIDERS = ("one", "two", "three", "four", "five")
TIMES = 20
LOAD_PAUSE_SECONDS = 0.1


def run(scale: Scale) -> Report:
    """Rotate 200 times, with `--quick` 20: each step, before and after its commit."""
    times = 2 if scale == QUICK else TIMES
    report = Report("rotation")
    redis, postgres = RedisServer(), PostgresServer()
    districts = tuple(DistrictSpec(name, "skyward", students=5, quota=None) for name in PROVIDERS)
    try:
        with SandboxProcess(SandboxSpec(districts)) as sandbox, tempfile.TemporaryDirectory() as f:
            stack = Stack(
                Path(f),
                sandbox,
                redis_url=redis.url,
                database_url=postgres.url(postgres.create_database()),
                options={name: dict(rotating.QUICK) for name in PROVIDERS},
            )
            try:
                stack.start_worker(concurrency=4)
                stack.spawn_app("testbed.keys_app", "beat", "-s", f"{f}/beat")
                _measure(report, stack, times)
            finally:
                stack.stop()
    finally:
        postgres.stop()
        redis.stop()
    return report


def _measure(report: Report, stack: Stack, times: int) -> None:
    kills = list(product(STEPS, MOMENTS)) * times
    each = [Rotating(stack, name) for name in PROVIDERS]
    wrong: list[str] = []
    took: list[float] = []

    def rotate(one: Rotating, mine: list[tuple[str, str]]) -> None:
        for kill in mine:
            begun = time.perf_counter()
            try:
                one.rotate(kill)
            except Exception as error:  # noqa: BLE001 - what went wrong is a figure
                wrong.append(f"{one.name} {kill}: {error!r}")
            took.append(time.perf_counter() - begun)

    load = Load(stack, PROVIDERS, pause_seconds=LOAD_PAUSE_SECONDS)
    with load.running():
        threads = [
            threading.Thread(target=rotate, args=(one, kills[n :: len(each)]))
            for n, one in enumerate(each)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    killed = sum((one.kills for one in each), start=Counter())
    ended = load.ended()
    failed = sum(count for how, count in ended.items() if how != "done")
    rows = [[step, *(str(killed[step, moment]) for moment in MOMENTS)] for step in STEPS]
    report.add_table(
        "SIGKILL around the commit of a step, PostgreSQL", ["step", "before", "after"], rows
    )
    report.add_table(
        "Under load",
        ["rotations", "ended", "calls", "calls failed", "seconds a rotation, median"],
        [[str(len(kills)), str(len(kills) - len(wrong)), f"{len(load.jobs):,}", str(failed),
          f"{sorted(took)[len(took) // 2]:.1f}"]],
    )  # fmt: skip
    report.notes += [*wrong, f"calls by how they ended: {dict(ended)}"]
    report.figures |= {
        "rotations": len(kills),
        "not_ended": wrong,
        "kills": {f"{step} {moment}": n for (step, moment), n in killed.items()},
        "calls": dict(ended),
        "calls_failed": failed,
    }
