"""Checks of the fleet: which processes are alive, and what they could not deal with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sisgate.audit.heads import can_append, reports
from sisgate.errors import BrokerUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.diagnosis.result import DiagnosticResult, Grade
from sisgate.gateway.liveness import read_liveness
from sisgate.liveness.heartbeats import Fleet, Heartbeat
from sisgate.liveness.obstacles import Cause
from sisgate.quarantine import Quarantine
from sisgate.redis.queues import PLANNER_QUEUE, queue_depths

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
"""The subject of a result. Redis, ledger and keys that are missing have checks of their own."""


def processes(core: Core) -> Iterator[DiagnosticResult]:
    """Yield what keeps jobs from going on, and who is alive where nothing is missing."""
    found = read_liveness(core.context)
    known = [one for one in found.obstacles if one.cause in SUBJECTS]
    for one in known:
        grade: Grade = "fail" if one.stops else "warn"
        yield DiagnosticResult(SUBJECTS[one.cause], grade, one.message, one.remedy)
    if found.fleet is not None:
        missing = {SUBJECTS[one.cause] for one in known}
        for subject, what in _alive(core, found.fleet):
            if subject not in missing:
                yield DiagnosticResult(subject, "ok", what)


def _alive(core: Core, fleet: Fleet) -> Iterator[tuple[str, str]]:
    alive = [one for one in fleet.processes if one.is_alive]
    names = [PLANNER_QUEUE, *core.settings.providers]
    try:
        depths = queue_depths(core.redis, names)
    except BrokerUnavailable:
        depths = dict.fromkeys(names, 0)
    planners = [one for one in alive if PLANNER_QUEUE in one.queues]
    waiting = f"{depths[PLANNER_QUEUE]:,} messages wait"
    yield "planner", f"{_places(planners)}; {waiting}"
    yield "beat", _places([one for one in alive if one.kind == "beat"])
    if fleet.reconciled_seconds is not None:
        yield "reconcile", f"the last one {fleet.reconciled_seconds:.0f} s ago"
    if core.settings.providers:
        workers = [one for one in alive if set(names[1:]) & set(one.queues)]
        slots = sum(one.slots for one in workers)
        waiting = f"{sum(depths[name] for name in names[1:]):,} messages wait"
        yield "worker", f"every provider is served: {_places(workers)}, {slots} slots; {waiting}"


def quarantine(core: Core) -> Iterator[DiagnosticResult]:
    """Yield a result where messages were put aside."""
    try:
        count = len(Quarantine(core.redis).messages())
    except BrokerUnavailable:
        return
    if count:
        what = f"{count} messages that no worker could take"
        yield DiagnosticResult("quarantine", "warn", what, "`sisgate quarantine list` shows them.")


def audit_heads(core: Core) -> Iterator[DiagnosticResult]:
    """Yield whether the heads of the audit log can be kept, on each host that did it lately."""
    try:
        found = reports(core.redis)
    except BrokerUnavailable:
        return
    remedy = (
        "On that host give the worker of the queue `sisgate` a place that it can write and that "
        "lasts (in a container a volume for SISGATE_DATA_DIR), or set audit_heads_file or "
        "audit_heads_command."
    )
    for one in found:
        if one.error is not None:
            yield DiagnosticResult("audit heads", "fail", f"{one.host}: {one.error}", remedy)
    if found and all(one.error is None for one in found):
        places = ", ".join(f"{one.path} on {one.host}" for one in found)
        yield DiagnosticResult("audit heads", "ok", f"kept in {places}")
    path = core.settings.audit_heads_path
    if not found and not can_append(path):
        what = f"{path} cannot be written on this host, and no worker has kept one lately"
        yield DiagnosticResult("audit heads", "warn", what, remedy)


def _places(processes: Sequence[Heartbeat]) -> str:
    """Return how many processes there are and where, by host.

    >>> beat = Heartbeat("id", "beat", "app-1", 7, "beat", "1")
    >>> _places([beat])
    '1 alive on app-1'
    """
    hosts = ", ".join(sorted({one.host for one in processes}))
    return f"{len(processes)} alive on {hosts}"
