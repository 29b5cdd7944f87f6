"""Dead letters: jobs that sisgate gave up, and the one new job that each may become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sisgate.domain.states import CallState, JobState
from sisgate.errors import InvalidState
from sisgate.ledger import jobs
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Call, Job

REPEATABLE = (JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED)
"""States in which a job may be enqueued once more."""


@dataclass(frozen=True)
class DeadJob:
    """A job that was given up, with what it cost: the most of any of its failed calls."""

    job: Job
    tries: int
    lost_workers: int


def find(
    database: Database,
    *,
    provider: str | None = None,
    app: str | None = None,
    error: str | None = None,
    since: datetime | None = None,
    places: Sequence[tuple[str, str]] | None = None,
    limit: int | None = None,
) -> list[DeadJob]:
    """Return what was given up and not tried again, the oldest first.

    `error` is the code of its error, `since` when it was given up at the earliest. None for all.
    """
    failed = (Call.job_id == Job.id) & (Call.state == CallState.FAILED.value)
    query = (
        select(
            Job,
            func.coalesce(func.max(Call.tries), 0).label("tries"),
            func.coalesce(func.max(Call.lost_workers), 0).label("lost_workers"),
        )
        .outerjoin(Call, failed)
        .where(Job.dead, Job.retried_as.is_(None), *jobs.whose(provider, app, places))
        .group_by(Job.id)
        .order_by(Job.ended_at, Job.id)
        .limit(limit)
    )
    if error is not None:
        query = query.where(Job.error["code"].as_string() == error)
    if since is not None:
        query = query.where(Job.ended_at >= since)
    with database.read() as session:
        return [DeadJob(*row) for row in session.execute(query)]


def begin_retry(session: Session, job_id: str, new_id: str) -> str | None:
    """Note as which job a job is enqueued once more; return the earlier one where there is one.

    So a job is tried again once, however often that is asked for. Raises `InvalidState`.
    """
    job = jobs.lock(session, job_id) or jobs.get(session, job_id)
    if job.retried_as is not None:
        return job.retried_as
    if job.state == JobState.UNKNOWN:
        raise InvalidState(
            f"Whether the provider carried out job {job.id} is not known, so that it may happen "
            f"twice. {jobs.how_to_resolve(job.id)}",
            job=job.id,
        )
    if job.state not in {state.value for state in REPEATABLE}:
        raise InvalidState(
            f"Job {job.id} is {job.state}; only failed, expired and cancelled jobs can be tried "
            "again.",
            job=job.id,
        )
    job.retried_as = new_id
    return None


def resolve(session: Session, job_id: str, state: JobState, note: str) -> Job:
    """Say what became of a job whose outcome is unknown: `done` or `failed`.

    Raises `InvalidState` where that is known already.
    """
    job = jobs.lock(session, job_id) or jobs.get(session, job_id)
    if job.state != JobState.UNKNOWN:
        raise InvalidState(
            f"Job {job.id} is {job.state}: there is nothing unknown about it to resolve.",
            job=job.id,
        )
    job.state, job.note = state.value, note
    if state is JobState.DONE:
        job.error = None
    return job
