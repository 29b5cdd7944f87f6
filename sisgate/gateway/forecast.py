"""Forecasts when jobs begin and end, from quota and backlog."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sisgate.admission.forecast import calls_ahead, nth_grant
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState
from sisgate.gateway.availability import hold_of
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.core import Core
from sisgate.gateway.liveness import read_liveness
from sisgate.gateway.plan import Plan, PriorityQueue
from sisgate.ledger import workload
from sisgate.ledger.job_calls import first_start
from sisgate.ledger.schema import Job
from sisgate.ledger.workload import Backlog
from sisgate.redis.queues import list_lengths


def read_queue(core: Core, provider: str) -> list[PriorityQueue]:
    """Return what waits for a provider, the most urgent first."""
    lengths = list_lengths(core.redis, [(provider, int(each)) for each in Priority])
    queues = []
    for priority in Priority:
        with core.database.read() as session:
            backlog = workload.backlog(session, provider, priority, without=None)
            latency = workload.mean_latency(session, provider)
        begins = _plan(core, provider, None, backlog, latency).starts_at
        queues.append(PriorityQueue(priority, lengths[provider, int(priority)], begins))
    return queues


def drained_at(core: Core, provider: str) -> datetime | None:
    """Return when all that waits for a provider is worked off; None while unknown."""
    with core.database.read() as session:
        backlog = workload.backlog(session, provider, Priority.LOW, without=None)
        latency = workload.mean_latency(session, provider)
    return _plan(core, provider, None, backlog, latency).starts_at


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


def _plan(core: Core, provider: str, calls: int | None, backlog: Backlog, latency: float) -> Plan:
    obstacles = read_liveness(core.context, [provider]).stopping(provider)
    if obstacles:
        return Plan(calls, None, None, None, obstacles)
    config = core.provider(provider)
    now = core.clock.now()
    outlook = ProviderControl(core, config).outlook(latency)
    hold = hold_of(core.context, config)
    if outlook is None or (hold is not None and hold.next_probe_at is None):
        return Plan(calls, None, None, None, hold=hold)
    if hold is not None and hold.next_probe_at is not None:
        held = (hold.next_probe_at - now).total_seconds()
        outlook = replace(outlook, held_seconds=max(outlook.held_seconds, held))
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
