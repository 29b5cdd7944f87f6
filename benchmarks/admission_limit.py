"""Part of `admission`: how exactly the limit is held and how much of it is used."""

import re
import time
from dataclasses import asdict, dataclass, replace

from sqlalchemy import func, select

from benchmarks.admission_ground import CLOCK, fleet_of, lay_calls
from benchmarks.report import Report, tell
from sisgate.clock import poll_until
from sisgate.ledger.schema import Job
from sisgate.wakeups import Wakeups
from testbed.fleet import Fleet
from testbed.recorder import between, windows_above

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
        return "p" + re.sub(r"[^a-z0-9]+", "-", self.name)

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
    lost: int | None = None
    """Jobs that never ended, over all providers of the run; None where that was not looked at."""


LOADS = (
    Load("60/10s", 60, 10),
    Load("60/10s, slow", 60, 10, slow=True),
    Load("60/10s, slow, bound 50 ms", 60, 10, slow=True, arrival_bound=0.05),
    Load("1000/30s", 1000, 30),
)
"""The last one is 1000 an hour, 120 times as fast."""

SLOW_HOUR = Load("1000/30s, slow, bound 50 ms", 1000, 30, slow=True, arrival_bound=0.05)
MISHAPS = {"kill": "a worker SIGKILLed every 3 s", "flush": "FLUSHALL once"}
DRAIN_SECONDS = 90.0


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
            needed = int(load.calls * (seconds / load.period + 1))
            lay_calls(fleet, load.provider, needed)
            fleet.limiter.pause(load.provider)
        for number in range(workers):
            _start(fleet, workers, planner=number == 0)
        fleet.start_beat()
        # All begin together, so that starting the workers is not part of what is measured.
        for load in loads:
            fleet.limiter.resume(load.provider)
            Wakeups(fleet.redis, CLOCK).signal_work(load.provider)
        first = {load.name: fleet.recorder[load.provider] for load in loads}
        fleet.wait(lambda: all(r.arrivals for r in first.values()), "the first calls")
        _pass_time(fleet, workers, seconds, mishap)
        found = [_use(fleet, load, workers) for load in loads]
        if mishap == "flush":
            lost = _jobs_lost(fleet, loads)
            found = [replace(use, lost=lost) for use in found]
        return found


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


def _jobs_lost(fleet: Fleet, loads: tuple[Load, ...]) -> int:
    """Lift the limits, let the workers do the rest, and return how many jobs did not end."""
    for load in loads:
        fleet.gateway.providers.control(load.provider).set_limits("100000/s", actor="bench")

    def open_jobs() -> int:
        with fleet.gateway.context.database.read() as session:
            unended = select(func.count()).select_from(Job).where(Job.ended_at.is_(None))
            return session.scalar(unended) or 0

    poll_until(lambda: not open_jobs(), clock=CLOCK, timeout_seconds=DRAIN_SECONDS)
    return open_jobs()


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
    """Add the table of the limit: workers and latencies, kills, an emptied Redis."""
    short = Load("60/10s", 60, 10, arrival_bound=1)
    hour = Load("1000/30s", 1000, 30, arrival_bound=1)
    counts, seconds, plain = ((2,), 23.0, LOADS[:3]) if quick else ((1, 2, 4, 8), 63.0, LOADS)
    mishaps: list[tuple[str, int, tuple[Load, ...]]] = [
        ("kill", 3, (short, hour)),
        ("flush", 2, (short, SLOW_HOUR)),
    ]
    if quick:  # two windows of 10 s
        mishaps = [("kill", 2, (short,))]
    found: list[tuple[str, Use]] = []
    for workers in counts:
        found += [("", use) for use in run_fleet(plain, workers, seconds)]
    for mishap, workers, loads in mishaps:
        found += [(mishap, use) for use in run_fleet(loads, workers, seconds, mishap=mishap)]
    report.add_table(
        "The limit (backlog all the time; above: windows above the limit, by arrivals)",
        ["limit and answers", "mishap", "workers", "arrivals", "above", "used", "jobs lost"],
        [
            [u.load, MISHAPS.get(mishap, ""), str(u.workers), str(u.arrivals), str(u.above),
             f"{u.used:.1%}", "-" if u.lost is None else str(u.lost)]
            for mishap, u in found
        ],
    )  # fmt: skip
    report.notes.append(
        "slow: answers after 0 to 5 s. A call counts until a period after its completion, so "
        "10 s windows can use at most 10/(10 + 2.5) of the limit, unless arrival_bound_seconds "
        "(bound) promises how soon a call is seen: then period/(period + bound)."
    )
    report.notes.append(
        "FLUSHALL: nothing is granted until the limiter is rebuilt, 3 to 4 s; of what was missed "
        "at most the burst is made up for (10 calls at 60/10s, 100 at 1000/30s)."
    )
    report.figures["limit"] = [{"mishap": mishap, **asdict(use)} for mishap, use in found]
