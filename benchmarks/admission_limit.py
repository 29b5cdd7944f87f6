"""Part of `admission`: how exactly the limit is held and how much of it is used."""

from __future__ import annotations

import re
import signal
import time
from dataclasses import asdict, dataclass

from benchmarks.admission_ground import fleet_of, lay_calls
from benchmarks.report import Report, tell
from tests.acceptance.admission.fleet import Fleet
from tests.acceptance.admission.recorder import between, windows_above

SLOW = between(0.0, 5.0)


@dataclass(frozen=True)
class Load:
    """One provider of a run: its limit and how it answers."""

    name: str
    calls: int
    period: float
    slow: bool = False
    arrival_bound: float | None = None

    @property
    def provider(self) -> str:
        """The name of its provider."""
        return re.sub(r"[^a-z0-9]+", "-", self.name)

    @property
    def configuration(self) -> str:
        lines = [f'limit = "{self.calls}/{self.period:g}s"', "timeout_seconds = 10"]
        if self.arrival_bound is not None:
            lines.append(f"arrival_bound_seconds = {self.arrival_bound:g}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Use:
    """What the recording provider saw while there was a backlog."""

    load: str
    workers: int
    arrivals: int
    above: int
    used: float
    """The part of the limit that was used after the first window."""


LOADS = (
    Load("60/10s", 60, 10),
    Load("60/10s, slow", 60, 10, slow=True),
    Load("60/10s, slow, bound 50 ms", 60, 10, slow=True, arrival_bound=0.05),
)
HOURS = (
    Load("1000/36s", 1000, 36),
    Load("1000/36s, slow, bound 50 ms", 1000, 36, slow=True, arrival_bound=0.05),
)
"""The hour, a hundred times as fast."""


def run_fleet(
    loads: tuple[Load, ...], workers: int, seconds: float, *, mishap: str = ""
) -> list[Use]:
    """Let workers serve all loads for some seconds; `mishap` is kill or flush."""
    mean = sum(load.calls / load.period for load in loads)
    tell(f"{workers} workers, {len(loads)} providers, {mean:.0f} calls/s {mishap}".rstrip())
    with fleet_of({load.provider: load.configuration for load in loads}) as fleet:
        for load in loads:
            if load.slow:
                fleet.recorder.latencies[load.provider] = SLOW
            needed = int(load.calls * (seconds / load.period + 2))
            lay_calls(fleet, load.provider, needed)
        for number in range(workers):
            _start(fleet, workers, planner=number == 0)
        fleet.start_beat()
        first = {load.name: fleet.recorder[load.provider] for load in loads}
        fleet.wait(lambda: all(r.arrivals for r in first.values()), "the first calls")
        _pass_time(fleet, workers, seconds, mishap)
        return [_use(fleet, load, workers) for load in loads]


def _start(fleet: Fleet, workers: int, *, planner: bool = False) -> None:
    queues = [*(["sisgate"] if planner else []), *fleet.settings.providers]
    fleet.start_worker(*queues, pool="threads", concurrency=max(16, 200 // workers), level="ERROR")


def _pass_time(fleet: Fleet, workers: int, seconds: float, mishap: str) -> None:
    ends = time.monotonic() + seconds
    if mishap == "flush":
        time.sleep(seconds / 3)
        fleet.redis.flushall()
    victim = 1
    while time.monotonic() < ends:
        time.sleep(min(3.0, max(0.0, ends - time.monotonic())))
        if mishap == "kill" and time.monotonic() < ends - 2:
            fleet.workers[victim].kill_all()
            victim += 1
            _start(fleet, workers)
    for worker in fleet.workers:
        if worker.is_alive():
            worker.signal(signal.SIGKILL)


def _use(fleet: Fleet, load: Load, workers: int) -> Use:
    times = fleet.recorder[load.provider].times
    begins = times[0] + load.period
    whole = int((times[-1] - begins) / load.period)
    ends = begins + whole * load.period
    counted = sum(begins < at <= ends for at in times)
    used = counted / (whole * load.calls) if whole else float("nan")
    above = windows_above(times, load.calls, load.period)
    return Use(load.name, workers, len(times), above, used)


def measure(report: Report, *, quick: bool) -> None:
    """Add the tables of the limit: workers and latencies, kills, an emptied Redis."""
    counts, seconds, hours = ((1, 4), 45.0, 80.0) if quick else ((1, 2, 4, 8), 65.0, 150.0)
    found: list[tuple[str, Use]] = []
    for workers in counts:
        found += [("", use) for use in run_fleet(LOADS, workers, seconds)]
        found += [("", use) for use in run_fleet(HOURS, workers, hours)]
    killed = (Load("60/10s", 60, 10, arrival_bound=1), Load("1000/36s", 1000, 36, arrival_bound=1))
    found += [("kill", u) for u in run_fleet(killed, 3, hours, mishap="kill")]
    found += [("flush", u) for u in run_fleet(killed[:1], 2, 65.0, mishap="flush")]
    names = {"": "", "kill": "a worker SIGKILLed every 3 s", "flush": "FLUSHALL once"}
    report.add_table(
        "The limit (a provider that stamps arrivals; backlog all the time)",
        ["limit and answers", "mishap", "workers", "arrivals", "windows above", "used"],
        [
            [u.load, names[mishap], str(u.workers), str(u.arrivals), str(u.above), f"{u.used:.1%}"]
            for mishap, u in found
        ],
    )
    report.notes.append(
        "slow: answers after 0 to 5 s. A call counts until a period after its completion, so "
        "10 s windows can use at most 10/(10 + 2.5) of the limit, unless arrival_bound_seconds "
        "(bound) promises how soon a call is seen: then period/(period + bound)."
    )
    report.figures["limit"] = [{"mishap": mishap, **asdict(use)} for mishap, use in found]
