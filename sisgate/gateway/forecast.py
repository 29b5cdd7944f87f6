"""Forecasts when jobs begin and end, from quota and backlog."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate

from sisgate.admission.forecast import Outlook, calls_ahead, nth_grant, nth_grants
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState
from sisgate.gateway.availability import hold_of
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.core import Core
from sisgate.gateway.hold import Hold
from sisgate.gateway.liveness import Liveness, read_liveness
from sisgate.gateway.plan import Plan, PriorityQueue
from sisgate.ledger import workload
from sisgate.ledger.job_calls import first_start
from sisgate.ledger.schema import Job
from sisgate.ledger.workload import Backlog
from sisgate.liveness.obstacles import Obstacle
from sisgate.redis.queues import list_lengths
from sisgate.settings import ProviderConfig

Drains = Mapping[Priority, datetime]
"""When the work of a priority is worked off, if nothing is added."""


def read_queue(core: Core, provider: str) -> list[PriorityQueue]:
    """Return what waits for a provider, the most urgent first."""
    lengths = list_lengths(core.redis, [(provider, int(each)) for each in Priority])
    liveness = read_liveness(core.context, [provider])
    with core.database.read() as session:
        latency = workload.mean_latency(session, provider)
        backlogs = workload.backlogs(session, provider)
    return [
        PriorityQueue(
            priority, lengths[provider, int(priority)],
            _plan(core, provider, None, backlogs[priority], latency, liveness).starts_at,
        )
        for priority in Priority
    ]  # fmt: skip


def read_drains(
    core: Core, config: ProviderConfig, hold: Hold | None, obstacles: Sequence[Obstacle], parts: int
) -> tuple[Drains, Sequence[int]]:
    """Return when the work of each priority is worked off, and the shape of the longest window.

    A priority without work is left out; so are all while nobody works it off, or nobody knows
    whether the provider answers again.
    """
    with core.database.read() as session:
        backlogs = workload.backlogs(session, config.name)
        latency = workload.mean_latency(session, config.name)
    outlook = ProviderControl(core, config).outlook(latency)
    if outlook is None:
        return {}, ()
    shape, held = shape_of(outlook, parts), _held_until(outlook, hold, core.clock.now())
    has_failed = hold is not None and hold.reason == "breaker" and not hold.by_hand
    if held is None or obstacles or has_failed:
        return {}, shape
    left = {priority: sum(each.equal) for priority, each in backlogs.items()}
    waiting = [priority for priority in Priority if left[priority]]
    ends = nth_grants(held, list(accumulate(left[priority] for priority in waiting)))
    now = core.clock.now()
    return {p: now + timedelta(seconds=at) for p, at in zip(waiting, ends, strict=True)}, shape


def shape_of(outlook: Outlook, parts: int) -> Sequence[int]:
    """Return how many permits come back in each part of the longest window."""
    if not outlook.windows:
        return ()
    seconds = max(rate.period_seconds for rate in outlook.windows)
    shape = [0] * parts
    for end in outlook.ended_at:
        comes_back = end + seconds
        if comes_back > 0:
            shape[min(parts - 1, int(comes_back / seconds * parts))] += 1
    return shape


def _held_until(outlook: Outlook, hold: Hold | None, now: datetime) -> Outlook | None:
    """Return the outlook with what holds a provider; None if that has no end."""
    if hold is None:
        return outlook
    if hold.next_probe_at is None:
        return None
    held = (hold.next_probe_at - now).total_seconds()
    return replace(outlook, held_seconds=max(outlook.held_seconds, held))


def plan_sync(core: Core, provider: str, resource: str, priority: Priority) -> Plan:
    """Return what a sync enqueued now would need."""
    with core.database.read() as session:
        calls = workload.usual_calls(session, provider, resource)
        backlog = workload.backlog(session, provider, priority, without=None)
        latency = workload.mean_latency(session, provider)
    return _plan(core, provider, calls, backlog, latency)


def plan_job(core: Core, job_id: str) -> Plan:
    """Return when an accepted job begins and ends, or when it did."""
    with core.database.read() as session:
        job = session.get_one(Job, job_id)
        if JobState(job.state).is_final:
            return Plan(job.calls_made, None, job.started_at, job.ended_at)
        first_call = first_start(session, job.id)
    plan = plan_rest(core, job_id)
    return replace(plan, starts_at=first_call or plan.starts_at)


def plan_rest(core: Core, job_id: str) -> Plan:
    """Return when the remaining calls of a live job begin and end."""
    with core.database.read() as session:
        job = session.get_one(Job, job_id)
        remaining = workload.remaining(session, job)
        backlog = workload.backlog(session, job.provider, Priority(job.priority), without=job.id)
        latency = workload.mean_latency(session, job.provider)
    return _plan(core, job.provider, remaining, backlog, latency)


def _plan(
    core: Core,
    provider: str,
    calls: int | None,
    backlog: Backlog,
    latency: float,
    liveness: Liveness | None = None,
) -> Plan:
    obstacles = (liveness or read_liveness(core.context, [provider])).stopping(provider)
    if obstacles:
        return Plan(calls, None, None, None, obstacles)
    config = core.provider(provider)
    now = core.clock.now()
    outlook = ProviderControl(core, config).outlook(latency)
    hold = hold_of(core.context, config)
    outlook = _held_until(outlook, hold, now) if outlook is not None else None
    if outlook is None:
        return Plan(calls, None, None, None, hold=hold)
    needed = max(1, calls or workload.FIRST_GUESS_CALLS)
    first = nth_grant(outlook, calls_ahead(1, backlog.higher, backlog.equal) + 1)
    last = nth_grant(outlook, calls_ahead(needed, backlog.higher, backlog.equal) + needed)
    used = [
        sum(1 for end in outlook.ended_at if end + rate.period_seconds > 0)
        for rate in outlook.windows
    ]
    left = min(
        (max(0, rate.calls - n) for rate, n in zip(outlook.windows, used, strict=True)),
        default=None,
    )
    return Plan(
        calls,
        left,
        now + timedelta(seconds=first),
        now + timedelta(seconds=last + latency) if calls is not None else None,
        hold=hold,
    )
