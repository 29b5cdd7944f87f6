"""Part of `admission`: what it costs beside plain Celery, and how that grows."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import psutil

from benchmarks.admission_ground import (
    NOOP_APP,
    fleet_of,
    lay_calls,
    lay_noops,
    percentile,
    wait_for,
)
from benchmarks.admission_urgent import send_urgent
from benchmarks.noop_app import DELAYS, PLAIN_QUEUE, STARTED
from benchmarks.report import Report, tell, times
from sisgate.broker import call_task
from sisgate.wakeups import Wakeups
from testbed.fleet import CLOCK, UNACKED, Fleet

IDLE_SECONDS = 15.0
OWN_COMMANDS = {"info", "ping", "lrange", "hlen", "get"}


def noop_rate(fleet: Fleet, queue: str, task: str, count: int) -> float:
    """Return how many tasks that do nothing a running worker ends a second."""
    lay_noops(fleet, task, queue, count, low=False)
    Wakeups(fleet.redis, CLOCK).signal_work(queue)
    before = fleet.waiting(queue) if queue in fleet.settings.providers else count
    seconds = wait_for(lambda: _is_idle(fleet, queue), 300)
    return before / seconds


def _is_idle(fleet: Fleet, queue: str) -> bool:
    pipe = fleet.redis.pipeline(transaction=False)
    for step in ("", "\x06\x163", "\x06\x166", "\x06\x169"):
        pipe.llen(queue + step)
    pipe.hlen(UNACKED)
    return not any(pipe.execute())


def measure_overhead(report: Report, *, quick: bool) -> None:
    """Add the table of no-op calls with the limit off beside plain Celery, rounds alternating."""
    count, rounds, processes = (500, 1, (2,)) if quick else (1000, 2, (2, 4))
    ways = {"admitted": ("alpha", call_task("alpha")), "pushed": (PLAIN_QUEUE, "noop")}
    rows, figures = [], {}
    for concurrency in processes:
        tell(f"tasks that do nothing, {concurrency} processes")
        rates: dict[str, list[float]] = {way: [] for way in ways}
        with fleet_of({"alpha": 'limit = "off"'}) as fleet:
            for way in [*ways] * (rounds + 1):
                queue, task = ways[way]
                worker = fleet.start_worker(
                    queue, app=NOOP_APP, concurrency=concurrency, level="ERROR", BENCH_WAY=way
                )
                noop_rate(fleet, queue, task, 100)
                rates[way].append(noop_rate(fleet, queue, task, count))
                worker.end()
        admitted, pushed = (statistics.median(rates[way]) for way in ways)
        ratio = admitted / pushed
        rows.append([str(concurrency), f"{admitted:,.0f}", f"{pushed:,.0f}", times(ratio)])
        figures[str(concurrency)] = {"admitted": admitted, "pushed": pushed, "ratio": ratio}
    report.add_table(
        "Tasks that do nothing, per second (limit off)",
        ["processes", "admitted", "plain Celery", "ratio"],
        rows,
    )
    whole = whole_call_rate(200 if quick else 400)
    report.notes.append(
        f"A whole call (claim, HTTP, answer sealed, one transaction on SQLite): {whole:,.0f}/s "
        "with 2 processes; the difference is the ledger's."
    )
    report.figures["overhead"] = {**figures, "whole_calls": whole}


def whole_call_rate(count: int) -> float:
    """Return how many real calls a worker makes a second with the limit off."""
    with fleet_of({"alpha": 'limit = "off"'}) as fleet:
        fleet.start_worker(concurrency=2, level="ERROR")
        lay_calls(fleet, "alpha", count)
        Wakeups(fleet.redis, CLOCK).signal_work("alpha")
        return count / wait_for(lambda: _is_idle(fleet, "alpha"), 300)


def measure_growth(report: Report) -> None:
    """Add the table of dispatch by size of the backlog and number of providers."""
    backlogs = (1_000, 100_000, 1_000_000)
    rows, figures = [], []
    for providers, backlog in [(3, n) for n in backlogs] + [(30, 3_000), (300, 30_000)]:
        tell(f"dispatch: {providers} providers, backlog {backlog:,}")
        found = dispatch(providers, backlog, 7.0)
        figures.append({"providers": providers, "backlog": backlog, **found})
        delays = [f"{found[key] * 1e3:.1f}" for key in ("p50_s", "p99_s")]
        cost = f"{found['commands_per_call']:.1f}"
        rows.append([f"{providers:,}", f"{backlog:,}", *delays, cost])
    report.add_table(
        "Dispatch of urgent calls, and Redis commands (those inside scripts too)",
        ["providers", "backlog", "p50 ms", "p99 ms", "commands/call"],
        rows,
    )
    report.figures["growth"] = figures
    tell("idle workers")
    with ThreadPoolExecutor() as both:
        idle = dict(zip((3, 300), both.map(idle_cpu, (3, 300)), strict=True))
    report.notes.append(
        "Idle worker: "
        + ", ".join(f"{n} providers {part:.1%} of a core" for n, part in idle.items())
    )
    report.figures["idle_cpu"] = {str(n): part for n, part in idle.items()}


def dispatch(providers: int, backlog: int, seconds: float) -> dict[str, float]:
    """Return delays of urgent calls and commands per call of one worker that serves all."""
    names = [f"p{number}" for number in range(providers)]
    busy = names[:3]
    # The whole rate is the same however many providers share it.
    limit = 'limit = "900/60s"\nburst = 30'
    with fleet_of(dict.fromkeys(names, limit)) as fleet:
        for name in names:
            lay_noops(fleet, call_task(name), name, backlog // providers if name not in busy else
                      max(1_000, backlog // providers))  # fmt: skip
            if name not in busy:
                fleet.limiter.block(name, 3600)
        fleet.start_worker(app=NOOP_APP, concurrency=4, level="ERROR", BENCH_COUNT="1")
        time.sleep(5.0)
        before, began_at = _commands(fleet), int(fleet.redis.get(STARTED) or 0)
        ends, turn = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            name = busy[turn % len(busy)]
            send_urgent(fleet, call_task(name), name)
            turn += 1
            time.sleep(0.15)
        after, ended_at = _commands(fleet), int(fleet.redis.get(STARTED) or 0)
        found = [float(delay) for delay in fleet.redis.lrange(DELAYS, 0, -1)]
    done = max(1, ended_at - began_at + len(found))
    total = sum(after.values()) - sum(before.values())
    return {
        "p50_s": percentile(found, 0.5),
        "p99_s": percentile(found, 0.99),
        "commands_per_call": total / done,
    }


def _commands(fleet: Fleet) -> dict[str, int]:
    stats = fleet.redis.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): found["calls"]
        for name, found in stats.items()
        if name.removeprefix("cmdstat_") not in OWN_COMMANDS
    }


def idle_cpu(providers: int, seconds: float = IDLE_SECONDS) -> float:
    """Return the part of a core that a worker of idle providers takes, children included."""
    names = [f"p{number}" for number in range(providers)]
    with fleet_of(dict.fromkeys(names, 'limit = "1000/h"')) as fleet:
        worker = fleet.start_worker(concurrency=2, level="ERROR")
        time.sleep(3.0)
        process = psutil.Process(worker.popen.pid)
        before = _cpu_seconds(process)
        time.sleep(seconds)
        return (_cpu_seconds(process) - before) / seconds


def _cpu_seconds(process: psutil.Process) -> float:
    every = [process, *process.children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in every)
