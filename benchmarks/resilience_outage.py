"""Part of `resilience`: a provider that is away for a minute, with a backlog that waits for it."""

import time
from dataclasses import asdict, dataclass

from benchmarks.admission_ground import lay_calls, wait_for
from benchmarks.report import Report, tell
from benchmarks.resilience_ground import (
    FAIL_MAX,
    OPEN_CAP_SECONDS,
    OPEN_SECONDS,
    PROVIDER,
    Dying,
    fleet_around,
    states,
    tries,
)
from sisgate.redis.keys import PROBE_GATE
from testbed.fleet import Fleet
from testbed.recorder import Served, most_at_once

WORKERS, PROCESSES = 2, 4
LATENCY_SECONDS = 0.02
DRAIN_SECONDS = 180.0


@dataclass(frozen=True)
class Outage:
    """What the provider and the ledger saw of one outage."""

    backlog: int
    seconds: float
    until_held: int
    """Failed calls until the queue was held: those that opened the breaker and those beside."""
    probes: int
    """Calls from then on until one succeeded."""
    most_probes_at_once: int
    first_useful_seconds: float
    """From the end of the probe that succeeded to the beginning of the next call."""
    closed_seconds: float
    """From there to the beginning of the first call that was no probe."""
    tries_spent: int
    """Tries spent by anything from the moment in which the queue was held to the end."""
    ended: dict[str, int]


def run_outage(backlog: int, seconds: float) -> Outage:
    """Let the provider fail for some seconds soon after two workers began with the backlog."""
    tell(f"an outage of {seconds:g} s behind a backlog of {backlog:,}")
    recorder = Dying("a", latency_seconds=LATENCY_SECONDS)
    with fleet_around(recorder) as fleet:
        for _ in range(WORKERS):
            fleet.start_worker(PROVIDER, "sisgate", concurrency=PROCESSES, level="ERROR")
        fleet.start_beat()
        # After the workers have started: the first would empty a small queue before the second.
        lay_calls(fleet, PROVIDER, backlog)
        wait_for(lambda: len(recorder.served) > 50, 60)
        recorder.fail("a")
        ends = recorder.down_since + seconds
        wait_for(lambda: _held(fleet, recorder), 30)
        held_at, spent = time.monotonic(), tries(fleet)
        time.sleep(ends - time.monotonic())
        recorder.down.clear()
        wait_for(lambda: states(fleet)["done"] == backlog, DRAIN_SECONDS, every=0.5)
        return _outage(recorder, held_at, backlog, seconds, tries(fleet) - spent, states(fleet))


def _held(fleet: Fleet, recorder: Dying) -> bool:
    """Whether nothing is taken any more and what was under way has ended."""
    held = bool(fleet.redis.exists(PROBE_GATE(provider=PROVIDER)))
    return held and not recorder.at_work and not fleet.unacked()


def _outage(
    recorder: Dying, held_at: float, backlog: int, seconds: float, spent: int, ended: dict[str, int]
) -> Outage:
    served = sorted(recorder.served, key=lambda call: call.began)
    after = [call for call in served if call.began > held_at]
    first = next(number for number, call in enumerate(after) if not call.failed)
    probes, recovered, useful = after[: first + 1], after[first], after[first + 1 :]
    return Outage(
        backlog=backlog,
        seconds=seconds,
        until_held=sum(c.failed and c.began <= held_at for c in served),
        probes=len(probes),
        most_probes_at_once=most_at_once(probes),
        first_useful_seconds=useful[0].began - recovered.ended,
        closed_seconds=_first_unprobed(useful) - recovered.ended,
        tries_spent=spent,
        ended=dict(ended),
    )


def _first_unprobed(useful: list[Served]) -> float:
    """When the first call began that another success than the probe's had let through."""
    second = useful[0]
    return next(call.began for call in useful[1:] if call.began >= second.ended)


def measure(report: Report, *, quick: bool) -> None:
    """Add the table of the outage."""
    found = run_outage(1000, 20.0) if quick else run_outage(5000, 60.0)
    report.add_table(
        f"Outage of {found.seconds:g} s, backlog of {found.backlog:,}, {WORKERS} workers of"
        f" {PROCESSES} processes",
        ["what was seen", ""],
        [
            ["failed calls until the queue was held", str(found.until_held)],
            ["calls from then on until one succeeded", str(found.probes)],
            ["most of them at once", str(found.most_probes_at_once)],
            ["probe that succeeded to the next call", f"{found.first_useful_seconds:.3f} s"],
            ["probe that succeeded to the first call when closed", f"{found.closed_seconds:.3f} s"],
            ["tries spent by what waited", str(found.tries_spent)],
            ["jobs by how they ended", ", ".join(f"{n:,} {s}" for s, n in found.ended.items())],
        ],
    )
    report.notes.append(
        f"outage: fail_max {FAIL_MAX}, openings of {OPEN_SECONDS:g} s to {OPEN_CAP_SECONDS:g} s. "
        f"{WORKERS * PROCESSES} calls run at once; "
        "those under way when the breaker opens fail as well."
    )
    report.figures["outage"] = asdict(found)
