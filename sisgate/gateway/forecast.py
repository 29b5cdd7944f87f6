"""When a job will begin and end, as far as quota and backlog tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from sisgate.admission.forecast import calls_ahead, nth_grant
from sisgate.domain.priorities import Priority
from sisgate.domain.states import LIVE_CALL_STATES, LIVE_JOB_STATES, JobKind, JobState
from sisgate.gateway.availability import hold_of
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.core import Core
from sisgate.gateway.liveness import read_liveness
from sisgate.ledger.schema import Attempt, Call, Job
from sisgate.liveness.obstacles import Obstacle

LATENCY_SAMPLE = 50
"""Calls of a provider whose mean duration stands for the next ones."""

FIRST_GUESS_CALLS = 1
"""What a sync is taken to need while nothing like it has ever ended."""


@dataclass(frozen=True)
class Plan:
    """What a job needs and when it gets it. Times are None while nobody can tell.

    `calls` is None for a dataset that has never been synced: its length is not known. `left` is
    what the tightest window has left now, None without a limit. No time is told while the provider
    is paused or its breaker held open without end, while the limiter is being rebuilt, or while
    something of the fleet is not alive: then there are the `obstacles`.
    """

    calls: int | None
    left: int | None
    starts_at: datetime | None
    done_by: datetime | None
    obstacles: Sequence[Obstacle] = ()


@dataclass(frozen=True)
class _Backlog:
    higher: Sequence[int]
    equal: Sequence[int]


def plan_sync(core: Core, provider: str, resource: str, priority: Priority) -> Plan:
    """Return what a sync enqueued now would need."""
    with core.database.read() as session:
        calls = usual_calls(session, provider, resource)
        backlog = _backlog(session, provider, priority, without=None)
        latency = _latency(session, provider)
    return _plan(core, provider, calls, backlog, latency)


def plan_job(core: Core, job_id: str) -> Plan:
    """Return when an accepted job begins and ends; for what has happened, the times it did."""
    with core.database.read() as session:
        job = session.get_one(Job, job_id)
        if JobState(job.state).is_final:
            return Plan(job.calls_made, None, job.started_at, job.ended_at)
        first_call = session.scalar(select(func.min(Call.started_at)).where(Call.job_id == job.id))
    plan = plan_rest(core, job_id)
    return replace(plan, starts_at=first_call or plan.starts_at)


def plan_rest(core: Core, job_id: str) -> Plan:
    """Return when the calls that a live job has yet to make begin and end."""
    with core.database.read() as session:
        job = session.get_one(Job, job_id)
        remaining = _remaining(session, job)
        backlog = _backlog(session, job.provider, Priority(job.priority), without=job.id)
        latency = _latency(session, job.provider)
    return _plan(core, job.provider, remaining, backlog, latency)


def usual_calls(session: Session, provider: str, resource: str | None) -> int | None:
    """Return how many calls the last complete sync of a dataset made, or None."""
    return session.scalar(
        select(Job.calls_made)
        .where(
            Job.provider == provider,
            Job.resource == resource,
            Job.kind == JobKind.SYNC.value,
            Job.state == JobState.DONE.value,
            Job.complete.is_(True),
        )
        .order_by(Job.ended_at.desc())
        .limit(1)
    )


def _plan(core: Core, provider: str, calls: int | None, backlog: _Backlog, latency: float) -> Plan:
    obstacles = read_liveness(core.context, [provider]).stopping(provider)
    if obstacles:
        return Plan(calls, None, None, None, obstacles)
    config = core.provider(provider)
    now = core.clock.now()
    outlook = ProviderControl(core, config).outlook(latency)
    hold = hold_of(core.context, config)
    if outlook is None or (hold is not None and hold.next_probe_at is None):
        return Plan(calls, None, None, None)
    if hold is not None and hold.next_probe_at is not None:
        held = (hold.next_probe_at - now).total_seconds()
        outlook = replace(outlook, held_seconds=max(outlook.held_seconds, held))
    needed = max(1, calls or FIRST_GUESS_CALLS)
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
    )


def _backlog(
    session: Session, provider: str, priority: Priority, *, without: str | None
) -> _Backlog:
    live = session.scalars(
        select(Job).where(
            Job.provider == provider,
            Job.state.in_([s.value for s in LIVE_JOB_STATES]),
            Job.priority <= int(priority),
        )
    ).all()
    waiting = _live_calls(session, Call.provider == provider)
    usual: dict[tuple[str, str | None], int] = {}
    higher: list[int] = []
    equal: list[int] = []
    for job in live:
        if job.id != without:
            alike = (job.state, job.resource)
            if alike not in usual:
                usual[alike] = _unplanned(session, job)
            count = waiting.get(job.id) or usual[alike]
            (higher if job.priority < int(priority) else equal).append(count)
    return _Backlog(higher, equal)


def _remaining(session: Session, job: Job) -> int:
    return _live_calls(session, Call.job_id == job.id).get(job.id) or _unplanned(session, job)


def _unplanned(session: Session, job: Job) -> int:
    if job.kind == JobKind.REQUEST.value or job.state != JobState.ACCEPTED.value:
        return 1
    return usual_calls(session, job.provider, job.resource) or FIRST_GUESS_CALLS


def _live_calls(session: Session, chosen: ColumnElement[bool]) -> dict[str, int]:
    rows = session.execute(
        select(Call.job_id, func.count())
        .where(chosen, Call.state.in_([s.value for s in LIVE_CALL_STATES]))
        .group_by(Call.job_id)
    )
    return {row[0]: row[1] for row in rows}


def _latency(session: Session, provider: str) -> float:
    recent = session.execute(
        select(Attempt.started_at, Attempt.ended_at)
        .where(Attempt.provider == provider, Attempt.ended_at.is_not(None))
        .order_by(Attempt.started_at.desc())
        .limit(LATENCY_SAMPLE)
    ).all()
    if not recent:
        return 0.0
    seconds: list[float] = [(row.ended_at - row.started_at).total_seconds() for row in recent]
    return sum(seconds) / len(seconds)
