"""Jobs in the ledger: accepting, looking up, cancelling, ending."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, false, func, or_, select, true, update
from sqlalchemy.orm import Session

from sisgate.domain.priorities import Priority
from sisgate.domain.states import LIVE_JOB_STATES, JobKind, JobState
from sisgate.errors import IdempotencyConflict, InvalidState, OutcomeUnknown, UnknownJob
from sisgate.ledger import call_queue, call_statements, calls, deletions
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Dataset, Job


@dataclass(frozen=True)
class NewJob:
    """What an app asks for, before it is accepted."""

    id: str
    kind: JobKind
    app: str
    provider: str
    priority: Priority
    resource: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    sealed_request: bytes | None = field(default=None, repr=False)
    idempotency_key: str | None = None
    expires_at: datetime | None = None
    request_id: str | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the arguments: the same sync has the same fingerprint.

        What a request asks for is not in it: few words are easily guessed from their digest.
        """
        words = [self.kind, self.provider, self.resource, int(self.priority), self.options]
        return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


def accept(
    session: Session,
    new: NewJob,
    now: datetime,
    *,
    published_at: datetime | None = None,
    asks_the_same: Callable[[Job], bool] | None = None,
) -> tuple[Job, bool]:
    """Insert a job and return it, detached, with True, or the earlier one with False.

    A job is earlier when it has the same id, or the same app and idempotency key. Raises
    `IdempotencyConflict` when that one was asked for with other arguments: another fingerprint,
    or what `asks_the_same` says where it is given.
    """
    values = _values_of(new, now, published_at)
    if call_statements.insert_job(session, values):
        return Job(**values), True
    return _earlier(session, new, asks_the_same), False


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that is in the ledger, and if it is new the call of a request, which is queued."""

    job_id: str
    is_new: bool
    call_id: int | None = None


def accept_to_publish(
    session: Session,
    new: NewJob,
    now: datetime,
    asks_the_same: Callable[[Job], bool] | None = None,
) -> Accepted:
    """Accept a job as `accept` does; a request with its one call. The caller publishes it."""
    values, call_id = _values_of(new, now, now), None
    if new.kind is JobKind.REQUEST:
        call_id = call_statements.insert_request(session, values, new.options)
        is_new = call_id is not None
    else:
        is_new = call_statements.insert_job(session, values)
    if is_new:
        return Accepted(new.id, True, call_id)
    return Accepted(_earlier(session, new, asks_the_same).id, False)


def _values_of(new: NewJob, now: datetime, published_at: datetime | None) -> dict[str, Any]:
    begins = new.kind is JobKind.REQUEST
    return {
        "id": new.id,
        "kind": new.kind.value,
        # A request needs no planning: its one call is queued with it.
        "state": (JobState.RUNNING if begins else JobState.ACCEPTED).value,
        "started_at": now if begins else None,
        "app": new.app,
        "provider": new.provider,
        "resource": new.resource,
        "priority": int(new.priority),
        "options": new.options,
        "sealed_request": new.sealed_request,
        "idempotency_key": new.idempotency_key,
        "fingerprint": new.fingerprint,
        "accepted_at": now,
        "published_at": published_at,
        "expires_at": new.expires_at,
        "request_id": new.request_id,
    }


def _earlier(session: Session, new: NewJob, asks_the_same: Callable[[Job], bool] | None) -> Job:
    """Return the job that was there already; `IdempotencyConflict` unless it asks the same."""
    earlier = _find_earlier(session, new)
    is_same = earlier.fingerprint == new.fingerprint
    if not (asks_the_same(earlier) if asks_the_same else is_same):
        raise IdempotencyConflict(
            f"The idempotency key {new.idempotency_key or new.id!r} was used by job {earlier.id} "
            "with other arguments. Use a new key for a new request.",
            job=earlier.id,
        )
    return earlier


def _find_earlier(session: Session, new: NewJob) -> Job:
    by_id = session.get(Job, new.id)
    by_key = None
    # NULL is no key: looked for, it would be that of every job that came without one.
    if new.idempotency_key is not None:
        by_key = session.scalar(
            select(Job).where(Job.app == new.app, Job.idempotency_key == new.idempotency_key)
        )
    found = by_id or by_key
    assert found is not None, "the insert met one of them"
    if by_key is not None and by_key is not found:
        raise IdempotencyConflict(
            f"There is a job {new.id} already, and the idempotency key {new.idempotency_key!r} is "
            "that of another one. Use a new id for a new request.",
            job=new.id,
        )
    return found


def get(session: Session, job_id: str) -> Job:
    """Return the job; `UnknownJob` where there is none."""
    job = session.get(Job, job_id)
    if job is None:
        raise unknown(job_id)
    return job


def of_ids(session: Session, job_ids: Sequence[str]) -> dict[str, Job]:
    """Return the jobs that there are, by id, as they are now."""
    if not job_ids:
        return {}
    query = select(Job).where(Job.id.in_(job_ids)).execution_options(populate_existing=True)
    return {job.id: job for job in session.scalars(query)}


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


def find(
    database: Database,
    *,
    states: Sequence[JobState] = (),
    provider: str | None = None,
    app: str | None = None,
    places: Sequence[tuple[str, str]] | None = None,
    limit: int = 50,
) -> list[Job]:
    """Return the newest jobs that fit, newest first.

    `places` are pairs of provider and resource in one of which a job must be; `*` is any.
    """
    query = select(Job).order_by(Job.accepted_at.desc(), Job.id).limit(limit)
    if states:
        query = query.where(Job.state.in_([s.value for s in states]))
    query = query.where(*whose(provider, app, places))
    with database.read() as session:
        return list(session.scalars(query))


def ids_beginning(
    session: Session,
    beginning: str,
    *,
    app: str | None,
    places: Sequence[tuple[str, str]],
    limit: int,
) -> Sequence[str]:
    """Return ids that begin so, of jobs of an app and in certain places as with `find`."""
    query = select(Job.id).where(
        Job.id.startswith(beginning, autoescape=True), *whose(None, app, places)
    )
    return session.scalars(query.limit(limit)).all()


def whose(
    provider: str | None, app: str | None, places: Sequence[tuple[str, str]] | None
) -> list[ColumnElement[bool]]:
    """Return the conditions of jobs of a provider, of an app, and in certain places."""
    found: list[ColumnElement[bool]] = []
    if provider:
        found.append(Job.provider == provider)
    if app:
        found.append(Job.app == app)
    if places is not None and ("*", "*") not in places:
        found.append(or_(false(), *(_is_at(*place) for place in places)))
    return found


def _is_at(provider: str, resource: str) -> ColumnElement[bool]:
    same_provider = true() if provider == "*" else Job.provider == provider
    return same_provider & (true() if resource == "*" else Job.resource == resource)


def last_sync(
    session: Session, provider: str, resource: str, app: str | None = None
) -> tuple[str, datetime] | None:
    """Return the last job that synced a dataset, of an app or of any, and when it was last read."""
    row = session.execute(
        select(Job.id, Dataset.synced_at)
        .join(Dataset, (Dataset.provider == Job.provider) & (Dataset.resource == Job.resource))
        .where(
            Job.kind == JobKind.SYNC.value,
            Job.state.in_([JobState.DONE.value, JobState.HELD.value]),
            Job.resource == resource,
            Dataset.synced_at.is_not(None),
            Job.ended_at.is_not(None),
            *whose(provider, app, None),
        )
        .order_by(Job.ended_at.desc())
        .limit(1)
    ).first()
    return None if row is None or row[1] is None else (row[0], row[1])


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
    if job.kind == JobKind.SYNC:
        deletions.forget(session, job.id)


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
        .where(Job.provider == provider, Job.state.in_([s.value for s in LIVE_JOB_STATES]))
        .limit(most)
    )
    return session.scalar(select(func.count()).select_from(live.subquery())) or 0


def running_beside(session: Session, job: Job) -> int:
    """Return how many syncs of the same app, provider and priority run, this one included."""
    running = session.scalar(
        select(func.count())
        .select_from(Job)
        .where(
            Job.provider == job.provider,
            Job.state == JobState.RUNNING.value,
            Job.kind == JobKind.SYNC.value,
            Job.app == job.app,
            Job.priority == job.priority,
        )
    )
    return max(1, running or 0)


def due_for_planning(
    session: Session, now: datetime, overdue: timedelta, limit: int = 500
) -> list[Job]:
    """Return accepted jobs whose plan message was never published, or went missing."""
    return list(
        session.scalars(
            select(Job)
            .where(
                Job.state == JobState.ACCEPTED.value,
                (Job.published_at.is_(None) & (Job.accepted_at < now - overdue / 10))
                | (Job.published_at < now - overdue),
            )
            .order_by(Job.priority, Job.accepted_at)
            .limit(limit)
        )
    )


def overdue_providers(session: Session, now: datetime) -> list[str]:
    """Return the providers of the live jobs whose deadline has passed."""
    states = [s.value for s in LIVE_JOB_STATES]
    query = select(Job.provider).where(Job.state.in_(states), Job.expires_at <= now)
    return list(session.scalars(query.distinct()))


def expire_overdue(
    session: Session, now: datetime, why: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> list[str]:
    """End every live job whose deadline has passed and return their ids.

    `why` gives by provider what kept its jobs waiting: a `message` and its `cause`.
    """
    overdue = session.scalars(
        select(Job)
        .where(Job.state.in_([s.value for s in LIVE_JOB_STATES]), Job.expires_at <= now)
        .with_for_update(skip_locked=True)
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
    if not calls.may_be_done(session, job.id):
        end(session, job, JobState.EXPIRED, now, error=error)
        return
    method = job.options.get("method", "request")
    words = {
        "code": OutcomeUnknown.code,
        "message": f"The time was over while the {method} was under way. Whether the provider "
        f"carries it out is not known, and it is not repeated. {how_to_resolve(job.id)}",
    }
    end(session, job, JobState.UNKNOWN, now, error=words)


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
