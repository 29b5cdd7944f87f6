"""How much work there is, and how long it usually takes: what forecasts and metrics stand on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from sisgate.domain.priorities import Priority
from sisgate.domain.states import LIVE_JOB_STATES, JobKind, JobState
from sisgate.ledger.attempts import was_sent
from sisgate.ledger.schema import Attempt, Call, Job
from sisgate.ledger.states import job_is_live, live_call

LATENCY_SAMPLE = 50
"""Calls of a provider whose mean duration stands for the next ones."""

FIRST_GUESS_CALLS = 1
"""What a sync is taken to need while nothing like it has ever ended."""


@dataclass(frozen=True)
class Backlog:
    """How many calls each live job of a provider still needs, for a job that comes to wait.

    `higher` are the jobs of more urgent priorities, `equal` those of its own.
    """

    higher: Sequence[int]
    equal: Sequence[int]

    @classmethod
    def of(cls, jobs: Sequence[tuple[int, int]], priority: Priority) -> Backlog:
        """Return what is ahead at a priority, of jobs by priority and calls."""
        return cls(
            [count for each, count in jobs if each < int(priority)],
            [count for each, count in jobs if each == int(priority)],
        )


def backlog(session: Session, provider: str, priority: Priority, *, without: str | None) -> Backlog:
    """Return what is ahead of a job of this priority, which is `without` if it is in the ledger."""
    return Backlog.of(list(_ahead(session, provider, priority, without)), priority)


def backlogs(session: Session, provider: str) -> Mapping[Priority, Backlog]:
    """Return what is ahead of a new job of each priority."""
    jobs = list(_ahead(session, provider, Priority.LOW, None))
    return {priority: Backlog.of(jobs, priority) for priority in Priority}


def _ahead(
    session: Session, provider: str, priority: Priority, without: str | None
) -> Iterator[tuple[int, int]]:
    """Yield the priority of each live job of this one or a higher, and the calls it needs."""
    live = session.execute(
        select(Job.id, Job.priority, Job.kind, Job.state, Job.resource).where(
            Job.provider == provider, Job.state.in_(LIVE_JOB_STATES), Job.priority <= int(priority)
        )
    ).all()
    here = select(Job.id).where(Job.provider == provider, job_is_live())
    waiting = _live_calls(session, Call.job_id.in_(here))
    usual: dict[tuple[str, str, str | None], int] = {}
    for job_id, its_priority, kind, state, resource in live:
        if job_id != without:
            alike = (kind, state, resource)
            if alike not in usual:
                usual[alike] = _unplanned(session, provider, *alike)
            yield its_priority, waiting.get(job_id) or usual[alike]


def remaining(session: Session, job: Job) -> int:
    """Return how many calls a live job has yet to make, as far as that is known."""
    live = _live_calls(session, Call.job_id == job.id).get(job.id)
    return live or _unplanned(session, job.provider, job.kind, job.state, job.resource)


def usual_calls(session: Session, provider: str, resource: str | None) -> int | None:
    """Return how many calls the last complete sync of a dataset made, or None."""
    return session.scalar(
        select(Job.calls_made)
        .where(
            Job.provider == provider,
            Job.resource == resource,
            Job.kind == JobKind.SYNC,
            Job.state == JobState.DONE,
            Job.complete.is_(True),
        )
        .order_by(Job.ended_at.desc())
        .limit(1)
    )


def mean_latency(session: Session, provider: str) -> float:
    """Return how long a provider's last calls took on average, in seconds; 0 before the first."""
    recent = session.execute(
        select(Attempt.started_at, Attempt.ended_at)
        .where(Attempt.provider == provider, Attempt.ended_at.is_not(None), was_sent())
        .order_by(Attempt.started_at.desc())
        .limit(LATENCY_SAMPLE)
    ).all()
    seconds: list[float] = [(row.ended_at - row.started_at).total_seconds() for row in recent]
    return sum(seconds) / max(1, len(seconds))


def _unplanned(session: Session, provider: str, kind: str, state: str, resource: str | None) -> int:
    if kind == JobKind.REQUEST.value or state != JobState.ACCEPTED.value:
        return 1
    return usual_calls(session, provider, resource) or FIRST_GUESS_CALLS


def _live_calls(session: Session, chosen: ColumnElement[bool]) -> dict[str, int]:
    rows = session.execute(
        select(Call.job_id, func.count()).where(chosen, live_call()).group_by(Call.job_id)
    )
    return {row[0]: row[1] for row in rows}
