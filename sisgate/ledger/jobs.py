"""Accepted jobs in the ledger: looking up, cancelling, ending, trying again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sisgate.domain.states import LIVE_JOB_STATES, JobKind, JobState
from sisgate.errors import InvalidState, OutcomeUnknown, UnknownJob
from sisgate.ledger import call_queue, deletions, job_calls
from sisgate.ledger.schema import Job
from sisgate.ledger.statements import count
from sisgate.ledger.states import job_is_live


def get(session: Session, job_id: str) -> Job:
    """Return the job; `UnknownJob` where there is none."""
    job = session.get(Job, job_id)
    if job is None:
        raise unknown(job_id)
    return job


def unknown(job_id: str) -> UnknownJob:
    """Return the error for a job that does not exist, or not for who asks."""
    return UnknownJob(
        f"There is no job {job_id}. `sisgate jobs list` shows those that exist.", job=job_id
    )


def lock(session: Session, job_id: str) -> Job | None:
    """Return the job with its row locked until the transaction ends, or None."""
    return session.scalar(
        select(Job)
        .where(Job.id == job_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def mark_published(session: Session, job_ids: Sequence[str], now: datetime | None) -> None:
    """Note that the jobs' plan messages were handed to the broker, or with None that not."""
    session.execute(update(Job).where(Job.id.in_(job_ids)).values(published_at=now))


def end(
    session: Session,
    job: Job,
    state: JobState,
    now: datetime,
    *,
    error: Mapping[str, Any] | None = None,
    dead: bool = False,
) -> None:
    """Give a job its final state and withdraw the calls that have not been made.

    `dead`: sisgate gave it up, so that it waits for a person among the dead letters.
    """
    job.state = state.value
    job.ended_at = now
    job.dead = dead
    if error is not None:
        job.error = dict(error)
    call_queue.withdraw(session, job.id, now)
    if job.kind == JobKind.SYNC and state is not JobState.HELD:
        deletions.forget(session, job.id)  # of a held one, a person looks at them
    if job.kind == JobKind.SYNC and state in {JobState.DONE, JobState.HELD}:
        deletions.forget_held(session, job)


def cancel(session: Session, job_id: str, now: datetime) -> Job:
    """Cancel a live job. A call already under way ends, and its answer is dropped."""
    job = lock(session, job_id) or get(session, job_id)
    if JobState(job.state).is_final:
        raise InvalidState(
            f"Job {job.id} has already ended as {job.state}; there is nothing to cancel.",
            job=job.id,
        )
    end(session, job, JobState.CANCELLED, now)
    return job


def live_count(session: Session, provider: str, most: int) -> int:
    """Return how many jobs of a provider have not ended; no more than `most` are counted."""
    live = (
        select(Job.state)
        .where(Job.provider == provider, Job.state.in_(LIVE_JOB_STATES))
        .limit(most)
    )
    return count(session, live)


def overdue_providers(session: Session, now: datetime) -> list[str]:
    """Return the providers of the live jobs whose deadline has passed."""
    query = select(Job.provider).where(job_is_live(), Job.expires_at <= now)
    # Without DISTINCT, for which SQLite would go through all jobs in order of their provider.
    return sorted(set(session.scalars(query)))


def expire_overdue(
    session: Session, now: datetime, why: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> list[str]:
    """End every live job whose deadline has passed and return their ids.

    `why` gives by provider what kept its jobs waiting: a `message` and its `cause`.
    """
    overdue = session.scalars(
        select(Job).where(job_is_live(), Job.expires_at <= now).with_for_update(skip_locked=True)
    )
    expired = []
    for job in overdue:
        end_unanswered(session, job, now, _expired_error(job, why.get(job.provider)))
        expired.append(job.id)
    return expired


def end_unanswered(session: Session, job: Job, now: datetime, error: Mapping[str, Any]) -> None:
    """End a live job whose time is over: as `expired`, with the error that says so.

    Where the provider may be carrying out what was asked, it is `unknown` instead, until the
    answer comes after all or a person says what became of it.
    """
    # First, because it waits for a claim that is about to be committed: then that is seen.
    call_queue.withdraw(session, job.id, now)
    if not job_calls.may_be_done(session, job.id):
        end(session, job, JobState.EXPIRED, now, error=error)
        return
    method = job.options.get("method", "request")
    words = {
        "code": OutcomeUnknown.code,
        "message": f"The time was over while the {method} was under way. Whether the provider "
        f"carries it out is not known, and it is not repeated. {how_to_resolve(job.id)}",
    }
    end(session, job, JobState.UNKNOWN, now, error=words)


REPEATABLE = (JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED)
"""States in which a job may be enqueued once more."""


def begin_retry(session: Session, job_id: str, new_id: str) -> str | None:
    """Note as which job a job is enqueued once more; return the earlier one where there is one.

    So a job is tried again once, however often that is asked for. Raises `InvalidState`.
    """
    job = lock(session, job_id) or get(session, job_id)
    if job.retried_as is not None:
        return job.retried_as
    if job.state == JobState.UNKNOWN:
        raise InvalidState(
            f"Whether the provider carried out job {job.id} is not known, so that it may happen "
            f"twice. {how_to_resolve(job.id)}",
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
    job = lock(session, job_id) or get(session, job_id)
    if job.state != JobState.UNKNOWN:
        raise InvalidState(
            f"Job {job.id} is {job.state}: there is nothing unknown about it to resolve.",
            job=job.id,
        )
    job.state, job.note = state.value, note
    if state is JobState.DONE:
        job.error = None
    return job


def how_to_resolve(job_id: str) -> str:
    """Return what a person is to do about a job whose outcome is unknown."""
    return (
        "Look at the provider, then tell what became of it: "
        f"`sisgate jobs resolve {job_id[:8]} --as done|failed|retry`."
    )


def _expired_error(job: Job, why: Mapping[str, str] | None) -> dict[str, Any]:
    reason = f" {why['message']}" if why else ""
    return {
        "code": "job_expired",
        "message": f"The deadline passed before the provider had answered.{reason} The job will "
        "not run later; enqueue it again with a longer timeout if it is still wanted.",
        "expires_at": job.expires_at.isoformat() if job.expires_at else None,
        **({"cause": why["cause"]} if why else {}),
    }
