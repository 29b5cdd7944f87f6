"""Part of `admission`: how soon a change at run time holds for the whole fleet."""

import statistics
import time
from collections.abc import Callable

from benchmarks.admission_ground import CLOCK, fleet_of, lay_calls
from benchmarks.report import Report, tell
from sisgate.broker import call_task
from sisgate.wakeups import Wakeups
from testbed.fleet import Fleet

PROVIDER = "alpha"
LIMIT, LESS, MORE = "3000/60s", "60/h", "6000/60s"
WORKERS = 4
CALLS = 6_000
LOOK_SECONDS = 1.5
"""How long calls are watched after a change: longer than a change may take."""

Change = Callable[[Fleet], object]

CHANGES: dict[str, tuple[Change, Change]] = {
    "pause, resume": (
        lambda fleet: fleet.gateway.providers.control(PROVIDER).pause(actor="bench"),
        lambda fleet: fleet.gateway.providers.control(PROVIDER).resume(actor="bench"),
    ),
    "limits set": (
        lambda fleet: fleet.gateway.providers.control(PROVIDER).set_limits(LESS, actor="bench"),
        lambda fleet: fleet.gateway.providers.control(PROVIDER).set_limits(MORE, actor="bench"),
    ),
    "control.rate_limit": (
        lambda fleet: fleet.app.control.rate_limit(call_task(PROVIDER), LESS),
        lambda fleet: fleet.app.control.rate_limit(call_task(PROVIDER), "6000/m"),
    ),
}
"""By name: what stops the calls that there are, and what lets them go on."""


def measure(report: Report, *, quick: bool) -> None:
    """Add the table of changes: the last call after one that stops, the first after the other."""
    tell(f"changes at run time, {WORKERS} workers")
    rows, figures = [], {}
    with fleet_of({PROVIDER: f'limit = "{LIMIT}"\nburst = 10'}) as fleet:
        lay_calls(fleet, PROVIDER, CALLS)
        for number in range(WORKERS):
            # The planner's queue is where `control.rate_limit` is carried out.
            queues = [PROVIDER, *(["sisgate"] if number == 0 else [])]
            fleet.start_worker(*queues, pool="threads", concurrency=8, level="ERROR")
        Wakeups(fleet.redis, CLOCK).signal_work(PROVIDER)
        fleet.wait(lambda: len(fleet.recorder[PROVIDER].times) > WORKERS, "the first calls")
        for name, (stop, go) in CHANGES.items():
            stops, goes = [], []
            for _ in range(1 if quick else 5):
                stops.append(_last_after(fleet, stop))
                goes.append(_first_after(fleet, go))
                time.sleep(LOOK_SECONDS / 3)
            found = (statistics.median(stops), max(stops), statistics.median(goes), max(goes))
            rows.append([name, *(f"{seconds * 1e3:.0f}" for seconds in found)])
            figures[name] = {"last_call_s": stops, "first_call_s": goes}
    report.add_table(
        f"A change at run time, {WORKERS} workers: ms to the last call that was to be stopped, "
        "and to the first that was let go",
        ["change", "last, median", "longest", "first, median", "longest"],
        rows,
    )
    report.notes.append(
        "A change holds for the next permit. A call that has its permit already is still sent."
    )
    report.figures["control"] = figures


def _last_after(fleet: Fleet, change: Change) -> float:
    begun = time.monotonic()
    change(fleet)
    time.sleep(LOOK_SECONDS)
    later = [at - begun for at in fleet.recorder[PROVIDER].times if at > begun]
    return max(later, default=0.0)


def _first_after(fleet: Fleet, change: Change) -> float:
    begun = time.monotonic()
    change(fleet)
    time.sleep(LOOK_SECONDS)
    later = [at - begun for at in fleet.recorder[PROVIDER].times if at > begun]
    return min(later, default=float("inf"))
