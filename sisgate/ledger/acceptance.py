"""Accepting jobs: a new row, or the earlier job that was asked for with the same id or key."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sisgate import tracing
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind, JobState
from sisgate.errors import IdempotencyConflict
from sisgate.ledger import bulk_statements, call_statements
from sisgate.ledger.schema import Job
from sisgate.ledger.states import job_is_live


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
    due_at: datetime | None = None
    """When the schedule says that it is to be accepted; None if none asks for it."""
    request_id: str | None = None
    shared_as: str | None = None
    """The same for requests that may share one call; None for a call of its own."""
    reason: str | None = None
    """Why somebody asks for it, for the audit log only."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the arguments: the same sync has the same fingerprint.

        The target of a request is left out: short texts are easily guessed from their digest.
        """
        parts = [self.kind, self.provider, self.resource, int(self.priority), self.options]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def accept(
    session: Session, new: NewJob, now: datetime, *, published_at: datetime | None = None
) -> tuple[Job, bool]:
    """Insert a job and return it, detached, with True, or the earlier one with False.

    A job is earlier when it has the same id, or the same app and idempotency key. Raises
    `IdempotencyConflict` when that one was asked for with other arguments: another fingerprint.
    """
    values = _values_of(new, now, published_at)
    if call_statements.insert_job(session, values):
        return Job(**values), True
    return _earlier(session, new, None), False


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that is in the ledger, and if it is new the call of a request, which is queued."""

    job_id: str
    is_new: bool
    call_id: int | None = None


def accept_to_publish(
    session: Session, new: NewJob, now: datetime, asks_the_same: Callable[[Job], bool] | None = None
) -> Accepted:
    """Accept a job as `accept` does; a request with its one call. The caller publishes it.

    Where `asks_the_same` is given, it says whether an earlier job had the same arguments. A live
    request with the same `shared_as` is returned instead of a new one.
    """
    values = _values_of(new, now, now)
    if new.kind is not JobKind.REQUEST:
        if call_statements.insert_job(session, values):
            return Accepted(new.id, True)
        return Accepted(_earlier(session, new, asks_the_same).id, False)
    while True:
        call_id = call_statements.insert_request(session, values, new.options)
        if call_id is not None:
            return Accepted(new.id, True, call_id)
        if new.shared_as is None:
            return Accepted(_earlier(session, new, asks_the_same).id, False)
        if (leader := _join(session, new.shared_as)) is not None:
            return Accepted(leader, False)
        if session.get(Job, new.id) is not None:
            return Accepted(_earlier(session, new, asks_the_same).id, False)
        # It ended between the two statements: then there is nothing to meet any more.


def _join(session: Session, shared_as: str) -> str | None:
    """Count one more request that a live one answers; return its id, None if it has ended."""
    return session.scalar(
        update(Job)
        .where(Job.shared_as == shared_as, job_is_live())
        .values(shared=Job.shared + 1)
        .returning(Job.id)
    )


def count_shared(session: Session, job_id: str) -> None:
    """Count one more request that the response of a job answers."""
    session.execute(update(Job).where(Job.id == job_id).values(shared=Job.shared + 1))


def accept_many(
    session: Session, orders: Sequence[tuple[NewJob, Callable[[Job], bool] | None]], now: datetime
) -> Iterator[Accepted]:
    """Accept jobs with new ids as `accept_to_publish` does, all in few statements.

    They are inserted at once and yielded in order; of an earlier one it is asked then.
    """
    values = [_values_of(new, now, now) for new, _ in orders]
    inserted = bulk_statements.insert_jobs(session, values, now)
    earlier = bulk_statements.jobs_by_key(
        session, [row for row in values if row["id"] not in inserted]
    )
    for new, asks_the_same in orders:
        if new.id in inserted:
            yield Accepted(new.id, True, inserted[new.id])
        else:
            found = earlier[new.app, new.idempotency_key]
            yield Accepted(_if_same(found, new, asks_the_same).id, False)


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
        "due_at": new.due_at,
        "request_id": new.request_id,
        "traceparent": tracing.current(),
        "shared_as": new.shared_as,
    }


def _earlier(session: Session, new: NewJob, asks_the_same: Callable[[Job], bool] | None) -> Job:
    """Return the job that was there already; `IdempotencyConflict` unless it asks the same."""
    return _if_same(_find_earlier(session, new), new, asks_the_same)


def _if_same(earlier: Job, new: NewJob, asks_the_same: Callable[[Job], bool] | None) -> Job:
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
    if by_id is not None and by_id.app != new.app:
        # The same whatever that one is: it does not exist for this app.
        raise IdempotencyConflict(f"The job id {new.id} is taken. Use a new one.", job=new.id)
    found = by_id or by_key
    assert found is not None, "the insert met one of them"
    if by_key is not None and by_key is not found:
        raise IdempotencyConflict(
            f"There is a job {new.id} already, and the idempotency key {new.idempotency_key!r} is "
            "that of another one. Use a new id for a new request.",
            job=new.id,
        )
    return found
