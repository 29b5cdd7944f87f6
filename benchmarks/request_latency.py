"""What `gateway.request` adds to a direct `requests.get` for an app that waits, permits at hand.

Both in turns, by one caller and by ten at once, each calling again as soon as it has its answer.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from benchmarks.admission_ground import percentile
from benchmarks.report import Report, tell
from sisgate.redis.queues import PLANNER_QUEUE
from testbed.fleet import Fleet

PROVIDER = "alpha"
CALLERS = (1, 10)
PROCESSES = 4
TURNS = 5


def measure(report: Report, fleet: Fleet, engine: str, calls: int) -> None:
    """Add the table of one fleet without workers; `calls` for each caller and turn."""
    fleet.start_worker(PROVIDER, concurrency=PROCESSES, level="ERROR")
    fleet.start_worker(PLANNER_QUEUE, concurrency=1, level="ERROR")
    fleet.start_beat()
    url = fleet.recorder.url(PROVIDER)
    ways: dict[str, Callable[[int], object]] = {
        "requests.get": lambda number: requests.get(f"{url}/{number}", timeout=30),
        "gateway.request": lambda number: fleet.gateway.request(
            PROVIDER, "GET", f"/{number}", timeout=30
        ),
    }
    rows, figures = [], {}
    for callers in CALLERS:
        tell(f"latency, {engine}, {callers} callers")
        found: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(-1, TURNS):
            for way in sorted(ways, reverse=bool(turn % 2)):
                taken = _taken_ms(ways[way], callers, calls)
                if turn >= 0:
                    found[way] += taken
        p50 = {way: statistics.median(ms) for way, ms in found.items()}
        p99 = {way: percentile(ms, 0.99) for way, ms in found.items()}
        added = [each["gateway.request"] - each["requests.get"] for each in (p50, p99)]
        rows.append(
            [f"{engine}, {callers}", *(f"{ms:.1f}" for ms in (*p50.values(), *p99.values())),
             *(f"{ms:.1f}" for ms in added)]
        )  # fmt: skip
        figures[callers] = {"p50_ms": p50, "p99_ms": p99, "added_ms": added}
    report.add_table(
        f"Latency of a request in ms, {engine}",
        ["database, callers", "get p50", "request p50", "get p99", "request p99",
         "added p50", "added p99"],
        rows,
    )  # fmt: skip
    report.figures.setdefault("latency", {})[engine] = figures


def _taken_ms(call: Callable[[int], object], callers: int, calls: int) -> list[float]:
    taken: list[float] = []

    def repeat(_: int) -> None:
        for number in range(calls):
            begun = time.perf_counter()
            call(number)
            taken.append((time.perf_counter() - begun) * 1e3)

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(repeat, range(callers)))
    return taken
