"""Callers of an app with the middleware, for minutes, while the fleet has its usual work.

Locust asks through the app of `middleware`, at a sandbox that answers after 300 ms. Meanwhile
another app keeps the provider's queue filled with calls of low priority, and syncs its datasets.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.middleware import LATENCY_MS, NAME, PATH, Ground, ground_of
from benchmarks.report import Report, tell
from benchmarks.scale import FULL, QUICK, Scale
from sisgate import Gateway, NewRequest, NewSync
from sisgate.clock import SystemClock
from sisgate.domain.states import LIVE_JOB_STATES
from testbed.postgres import PostgresServer

USERS = 20
BACKLOG = 50
RESOURCES = ("students", "enrollments", "orgs")
USERS_FILE = Path(__file__).with_name("load_users.py")
CLOCK = SystemClock()


def run(scale: Scale) -> Report:
    """Measure on PostgreSQL, as production is."""
    report = Report("load")
    seconds = 20 if scale is QUICK else 300 if scale is FULL else 60
    postgres = PostgresServer()
    try:
        with ground_of(postgres, "postgresql", queues=f"{NAME},sisgate") as ground:
            tell(f"{USERS} users for {seconds} s")
            with _usual_work(ground.stack.new_gateway()) as work:
                begun = ground.cpu_seconds()
                found = _users(ground, seconds)
                ended = ground.cpu_seconds()
            _show(report, found, work, seconds, [b - a for a, b in zip(begun, ended, strict=True)])
    finally:
        postgres.stop()
    return report


def _users(ground: Ground, seconds: int) -> dict[str, Any]:
    """Let the users ask; return what locust says of it."""
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(USERS_FILE), "--headless", "--json",
         "-u", str(USERS), "-r", str(USERS), "-t", f"{seconds}s", "--stop-timeout", "30",
         "--host", ground.url, "--only-summary", "--exit-code-on-error", "0"],
        env=os.environ | {"LOCUST_SKIP_LOG_SETUP": "1"}, check=True, capture_output=True, text=True,
        timeout=seconds + 120,
    )  # fmt: skip
    (found,) = json.loads(done.stdout)
    return dict(found)


class Work:
    """What else the fleet had to do."""

    def __init__(self) -> None:
        self.calls = 0
        self.syncs = 0


@contextmanager
def _usual_work(gateway: Gateway) -> Iterator[Work]:
    """Keep a backlog of low calls and a sync at a time within the block."""
    work, ends = Work(), threading.Event()

    def fill() -> None:
        while not ends.wait(0.5):
            waiting = len(gateway.jobs.list(states=sorted(LIVE_JOB_STATES), limit=BACKLOG))
            if waiting >= BACKLOG:
                continue
            call = NewRequest(NAME, "GET", PATH, priority="low")
            resource = RESOURCES[work.syncs % len(RESOURCES)]
            gateway.enqueue([*[call] * (BACKLOG // 5), NewSync(NAME, resource, priority="low")])
            work.calls += BACKLOG // 5
            work.syncs += 1

    filler = threading.Thread(target=fill, daemon=True)
    filler.start()
    try:
        yield work
    finally:
        ends.set()
        filler.join(30)
        gateway.close()


def _show(
    report: Report, found: dict[str, Any], work: Work, seconds: int, cpu: list[float]
) -> None:
    asked, lost = found["num_requests"], found["num_failures"]
    times = sorted((int(ms), count) for ms, count in found["response_times"].items())
    figures = {word: _percentile(times, share) for word, share in _SHARES} | {
        "asked": asked, "lost": lost, "calls a second": asked / seconds,
    }  # fmt: skip
    report.figures["users"] = figures | {"background_calls": work.calls, "syncs": work.syncs}
    report.add_table(
        f"{USERS} users, once a second each, beside {work.calls:,} calls and {work.syncs} syncs",
        ["answers", "lost", *(word for word, _ in _SHARES), "CPU ms a request: app"],
        [
            [
                f"{asked:,}", f"{lost}", *(f"{figures[word]:,.0f} ms" for word, _ in _SHARES),
                f"{cpu[0] / max(1, asked) * 1e3:.2f}",
            ]
        ],
    )  # fmt: skip
    report.notes.append(
        f"The sandbox answers after {LATENCY_MS:g} ms. Locust, app, worker, database, Redis and "
        "sandbox share this machine's cores."
    )


_SHARES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("longest", 1.0))


def _percentile(times: list[tuple[int, int]], share: float) -> float:
    """Return the response time in ms that a share of the requests does not exceed."""
    left = sum(count for _, count in times) * share
    for ms, count in times:
        left -= count
        if left <= 0:
            return ms
    return 0.0
