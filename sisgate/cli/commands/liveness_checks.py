"""What `sisgate doctor` says of the fleet's processes: who is alive, and who is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sisgate.broker import queue_depths
from sisgate.cli.commands.findings import Finding, Grade
from sisgate.cli.invocation import Invocation
from sisgate.domain.queues import PLANNER_QUEUE
from sisgate.errors import BrokerUnavailable
from sisgate.gateway import Cause, Obstacle
from sisgate.gateway.liveness import read_liveness
from sisgate.liveness.heartbeats import Fleet, Heartbeat

SUBJECTS = {
    Cause.REDIS_REFUSES_WRITES: "redis",
    Cause.PLANNER_MISSING: "planner",
    Cause.BEAT_MISSING: "beat",
    Cause.RECONCILE_OVERDUE: "reconcile",
    Cause.WORKER_MISSING: "worker",
    Cause.MASTER_KEY_MISSING: "worker",
    Cause.SLOTS_FULL: "worker",
    Cause.CLOCKS_DIFFER: "clocks",
    Cause.VERSIONS_DIFFER: "versions",
}
"""Of what a finding is. Redis, ledger and keys that are missing have checks of their own."""


def liveness(invocation: Invocation) -> Iterator[Finding]:
    """Yield what keeps jobs from going on, and who is alive where nothing is missing."""
    found = read_liveness(invocation.gateway.context)
    told = [one for one in found.obstacles if one.cause in SUBJECTS]
    yield from map(_finding, told)
    if found.fleet is not None:
        missing = {SUBJECTS[one.cause] for one in told}
        for subject, what in _alive(invocation, found.fleet):
            if subject not in missing:
                yield Finding(subject, "ok", what)


def _finding(obstacle: Obstacle) -> Finding:
    grade: Grade = "fail" if obstacle.stops else "warn"
    return Finding(SUBJECTS[obstacle.cause], grade, obstacle.message, obstacle.remedy)


def _alive(invocation: Invocation, fleet: Fleet) -> Iterator[tuple[str, str]]:
    alive = [one for one in fleet.processes if one.is_alive]
    names = [PLANNER_QUEUE, *invocation.settings.providers]
    try:
        depths = queue_depths(invocation.redis, names)
    except BrokerUnavailable:
        depths = dict.fromkeys(names, 0)
    planners = [one for one in alive if PLANNER_QUEUE in one.queues]
    waiting = f"{depths[PLANNER_QUEUE]:,} messages wait"
    yield "planner", f"{_places(planners)}; {waiting}"
    yield "beat", _places([one for one in alive if one.kind == "beat"])
    if fleet.reconciled_seconds is not None:
        yield "reconcile", f"the last one {fleet.reconciled_seconds:.0f} s ago"
    if invocation.settings.providers:
        workers = [one for one in alive if set(names[1:]) & set(one.queues)]
        slots = sum(one.slots for one in workers)
        waiting = f"{sum(depths[name] for name in names[1:]):,} messages wait"
        yield "worker", f"every provider is served: {_places(workers)}, {slots} slots; {waiting}"


def _places(processes: Sequence[Heartbeat]) -> str:
    """Return how many processes there are and where, by host.

    >>> beat = Heartbeat("id", "beat", "app-1", 7, "beat", "1")
    >>> _places([beat])
    '1 alive on app-1'
    """
    hosts = ", ".join(sorted({one.host for one in processes}))
    return f"{len(processes)} alive on {hosts}"
