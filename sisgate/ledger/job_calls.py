"""The calls of a job: how many there are, what they wait for, what failed them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from sisgate.domain.states import CallState
from sisgate.ledger.calls import changes_something
from sisgate.ledger.prepared import Prepared, given
from sisgate.ledger.schema import Call, Job
from sisgate.ledger.states import job_is_live, live_call


def live_count(session: Session, job_id: str) -> int:
    """Return how many calls of a job have not ended."""
    ((found,),) = _LIVE_COUNT.run(session, {"job_id": job_id})
    return int(found)


_LIVE_COUNT = Prepared(
    lambda _: (
        select(func.count()).select_from(Call).where(Call.job_id == given("job_id"), live_call())
    ),
    is_planned_anew=True,
)


def counts_by_state(session: Session, job_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many calls there are in each state, by job; jobs without calls are left out."""
    rows = session.execute(
        select(Call.job_id, Call.state, func.count())
        .where(Call.job_id.in_(job_ids))
        .group_by(Call.job_id, Call.state)
    )
    counts: dict[str, dict[str, int]] = {}
    for job_id, state, number in rows:
        counts.setdefault(job_id, {})[state] = number
    return counts


def waiting(session: Session, job_id: str) -> Sequence[Row[Any, datetime | None]]:
    """Return the error and `not_before` of a job's calls that have not ended."""
    query = select(Call.error, Call.not_before).where(Call.job_id == job_id, live_call())
    return session.execute(query).all()


def first_start(session: Session, job_id: str) -> datetime | None:
    """Return when a job's first call began, or None."""
    return session.scalar(select(func.min(Call.started_at)).where(Call.job_id == job_id))


def last_failure(
    session: Session, *, provider: str | None = None, job_id: str | None = None
) -> str | None:
    """Return what failed a live call that waits, of a provider or of a job; None for nothing.

    Of several it is that of the newest call.
    """
    jobs = select(Job.id).where(Job.provider == provider, job_is_live())
    of = Call.job_id.in_(jobs) if job_id is None else Call.job_id == job_id
    query = select(Call.error).where(
        of, live_call(CallState.PLANNED, CallState.QUEUED), Call.error.is_not(None)
    )
    error = session.scalar(query.order_by(Call.id.desc()).limit(1))
    return error.get("message") if error else None


def last_error(session: Session, job_id: str) -> str | None:
    """Return the message of the last error that a call of a job met, ended or not."""
    errors = select(Call.error).where(Call.job_id == job_id, Call.error.is_not(None))
    error = session.scalar(errors.order_by(Call.id.desc()).limit(1))
    return error.get("message") if error else None


def may_be_done(session: Session, job_id: str) -> bool:
    """Return whether a call is under way that the provider may be carrying out."""
    running = select(Call.id).where(
        Call.job_id == job_id, live_call(CallState.RUNNING), changes_something()
    )
    return session.scalar(running.limit(1)) is not None


def running(session: Session, job_id: str) -> Sequence[Row[int, datetime | None, datetime | None]]:
    """Return the id, start and end of the lease of a job's calls that are under way."""
    query = select(Call.id, Call.started_at, Call.lease_until)
    return session.execute(query.where(Call.job_id == job_id, live_call(CallState.RUNNING))).all()
