"""Calls in the ledger: claiming them under a lease, their attempts, and ending them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Row, case, delete, func, select, update
from sqlalchemy.orm import Session

from sisgate.domain.states import FINAL_JOB_STATES, LIVE_CALL_STATES, LIVE_JOB_STATES, CallState
from sisgate.ledger import call_statements
from sisgate.ledger.schema import Attempt, Call, Job
from sisgate.providers.dialect import Position

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Requests that may be repeated blindly. RFC 9110, section 9.2.1."""


class Purpose(StrEnum):
    """Why a call is made."""

    COUNT = "count"
    PAGE = "page"
    BRIDGE = "bridge"
    REQUEST = "request"


@dataclass(slots=True)
class ClaimedCall:
    """What a worker needs of the row of a call that it has claimed; `Call` explains the names."""

    id: int
    job_id: str
    listing_id: int | None
    provider: str
    priority: int
    purpose: str
    attempt: int
    tries: int
    is_retry: bool
    look: int
    start: int | None
    page: int | None
    size: int | None
    link: str | None
    target: dict[str, Any] | None
    lease_until: datetime
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """What a worker needs of the job of its call, as it was when the call was claimed."""

    id: str
    kind: str
    app: str
    provider: str
    resource: str | None
    priority: int
    options: dict[str, Any]
    sealed_request: bytes | None = field(repr=False)
    expires_at: datetime | None
    mode: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class ClaimedListing:
    """What a worker needs of the listing that its call reads, as it was then."""

    id: int
    plan: dict[str, Any]
    total: int | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A call that this worker may make, its job and its listing."""

    call: ClaimedCall
    job: ClaimedJob
    listing: ClaimedListing | None

    @property
    def position(self) -> Position:
        """Where in its listing the call reads."""
        return position_of(self.call)

    @property
    def changes_something(self) -> bool:
        """Whether it must not be repeated blindly."""
        target = self.call.target or {}
        return self.call.purpose == Purpose.REQUEST and target.get("method") not in SAFE_METHODS


def position_of(call: Call | ClaimedCall) -> Position:
    """Return the position that a call's columns hold."""
    return Position(start=call.start or 0, page=call.page or 1, size=call.size, link=call.link)


def claim(
    session: Session, call_id: int, now: datetime, lease: timedelta, permit: str | None = None
) -> Claim | None:
    """Claim a queued call for this worker, or return None if it is not there to be claimed.

    One conditional UPDATE: a second delivery of the same message finds the call running or ended.
    """
    found = call_statements.claim(session, call_id, now, lease, permit)
    if found is None:
        _cancel_unwanted(session, call_id, now)
        return None
    call, job, listing = found
    return Claim(
        ClaimedCall(*call),
        ClaimedJob(*job),
        ClaimedListing(*listing) if listing[0] is not None else None,
    )


def begin_attempt(session: Session, call: ClaimedCall, now: datetime, permit: str | None) -> None:
    """Write that a call, which has its attempt number and lease, is begun."""
    session.add(
        Attempt(
            call_id=call.id,
            number=call.attempt,
            permit=permit,
            provider=call.provider,
            started_at=now,
            lease_until=call.lease_until,
        )
    )


def _cancel_unwanted(session: Session, call_id: int, now: datetime) -> None:
    # A call may be put back in the moment in which its job is cancelled; its message ends it.
    session.execute(
        update(Call)
        .where(
            Call.id == call_id,
            Call.state == CallState.QUEUED.value,
            select(Job.id)
            .where(Job.id == Call.job_id, Job.state.in_([s.value for s in FINAL_JOB_STATES]))
            .exists(),
        )
        .values(state=CallState.CANCELLED.value, ended_at=now)
        .execution_options(synchronize_session=False)
    )


def finish(
    session: Session, claimed: ClaimedCall, state: CallState, now: datetime, **facts: Any
) -> bool:
    """Write a claimed call's outcome; False if the claim was lost to a later attempt.

    After False the caller rolls back: a late writer must leave no trace.
    """
    return _leave(
        session, claimed, now, facts.get("status"), state=state.value, ended_at=now, **facts
    )


def put_back(
    session: Session,
    claimed: ClaimedCall,
    now: datetime,
    *,
    not_before: datetime,
    failed: bool,
    is_retry: bool = False,
    status: int | None = None,
    error: Mapping[str, Any] | None = None,
) -> bool:
    """Let a claimed call wait until `not_before`; `failed` spends one of its tries.

    What has failed, or `is_retry` without spending a try, is a retry from then on.
    If its job has ended meanwhile, the call has as well: it is cancelled.
    """
    spent: dict[str, Any] = {"tries": Call.tries + 1} if failed else {}
    if failed or is_retry:
        spent["is_retry"] = True
    return _leave(
        session,
        claimed,
        now,
        status,
        state=_waiting_if_wanted(),
        not_before=not_before,
        error=dict(error) if error else None,
        **spent,
    )


def release(session: Session, claimed: ClaimedCall, *, not_before: datetime) -> bool:
    """Undo a claim whose call was not begun: it waits, and nothing is held against it."""
    session.execute(
        delete(Attempt).where(Attempt.call_id == claimed.id, Attempt.number == claimed.attempt)
    )
    released = session.execute(
        update(Call)
        .where(
            Call.id == claimed.id,
            Call.attempt == claimed.attempt,
            Call.state == CallState.RUNNING.value,
        )
        .values(state=_waiting_if_wanted(), not_before=not_before, lease_until=None)
        .execution_options(synchronize_session=False)
    )
    return _touched(released)


def _leave(
    session: Session, claimed: ClaimedCall, now: datetime, answered: int | None, **values: Any
) -> bool:
    left = session.execute(
        update(Call)
        .where(
            Call.id == claimed.id,
            Call.attempt == claimed.attempt,
            Call.state == CallState.RUNNING.value,
        )
        .values(lease_until=None, **values)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Attempt)
        .where(Attempt.call_id == claimed.id, Attempt.number == claimed.attempt)
        .values(ended_at=now, status=answered)
        .execution_options(synchronize_session=False)
    )
    return _touched(left)


def live_count(session: Session, job_id: str) -> int:
    """Return how many calls of a job have not ended."""
    count = session.scalar(
        select(func.count())
        .select_from(Call)
        .where(Call.job_id == job_id, Call.state.in_([s.value for s in LIVE_CALL_STATES]))
    )
    return count or 0


def counts_by_state(session: Session, job_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many calls there are in each state, by job; jobs without calls are left out."""
    rows = session.execute(
        select(Call.job_id, Call.state, func.count())
        .where(Call.job_id.in_(job_ids))
        .group_by(Call.job_id, Call.state)
    )
    counts: dict[str, dict[str, int]] = {}
    for job_id, state, count in rows:
        counts.setdefault(job_id, {})[state] = count
    return counts


def waiting(session: Session, job_id: str) -> Sequence[Row[Any, datetime | None]]:
    """Return the error and `not_before` of a job's calls that have not ended."""
    live = Call.state.in_([state.value for state in LIVE_CALL_STATES])
    query = select(Call.error, Call.not_before).where(Call.job_id == job_id, live)
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
    of = Call.provider == provider if job_id is None else Call.job_id == job_id
    query = select(Call.error).where(
        of, Call.state.in_([CallState.PLANNED, CallState.QUEUED]), Call.error.is_not(None)
    )
    error = session.scalar(query.order_by(Call.id.desc()).limit(1))
    return error.get("message") if error else None


def last_error(session: Session, job_id: str) -> str | None:
    """Return the message of the last error that a call of a job met, ended or not."""
    errors = select(Call.error).where(Call.job_id == job_id, Call.error.is_not(None))
    error = session.scalar(errors.order_by(Call.id.desc()).limit(1))
    return error.get("message") if error else None


def forget_attempt(session: Session, claimed: ClaimedCall) -> None:
    """Forget an attempt that the provider cannot have seen: it counts against no quota."""
    session.execute(
        delete(Attempt).where(Attempt.call_id == claimed.id, Attempt.number == claimed.attempt)
    )


def changes_something() -> ColumnElement[bool]:
    """Return the condition of a call that must not be repeated blindly."""
    is_unsafe: ColumnElement[bool] = Call.target["method"].as_string().not_in(SAFE_METHODS)
    return (Call.purpose == Purpose.REQUEST.value) & is_unsafe


def may_be_done(session: Session, job_id: str) -> bool:
    """Return whether a call is under way that the provider may be carrying out."""
    running = select(Call.id).where(
        Call.job_id == job_id, Call.state == CallState.RUNNING.value, changes_something()
    )
    return session.scalar(running.limit(1)) is not None


def is_running(session: Session, job_id: str) -> bool:
    """Return whether a call of a job is under way."""
    running = select(Call.id).where(Call.job_id == job_id, Call.state == CallState.RUNNING.value)
    return session.scalar(running.limit(1)) is not None


def note_permit(session: Session, claimed: ClaimedCall, permit: str) -> None:
    """Note the permit of a call that was claimed without one."""
    session.execute(
        update(Attempt)
        .where(Attempt.call_id == claimed.id, Attempt.number == claimed.attempt)
        .values(permit=permit)
    )


def recent_attempts(session: Session, provider: str, since: datetime) -> list[Attempt]:
    """Return what was begun since a time, from which a limiter's state is rebuilt."""
    return list(
        session.scalars(
            select(Attempt)
            .where(Attempt.provider == provider, Attempt.started_at > since)
            .order_by(Attempt.started_at)
        )
    )


def _waiting_if_wanted() -> Any:
    # The call of a job that has ended would be published for ever, and never claimed.
    live = [state.value for state in LIVE_JOB_STATES]
    wanted = select(Job.id).where(Job.id == Call.job_id, Job.state.in_(live)).exists()
    return case((wanted, CallState.PLANNED.value), else_=CallState.CANCELLED.value)


def _touched(result: Any) -> bool:
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
