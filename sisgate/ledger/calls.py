"""Calls in the ledger: claiming them under a lease, their attempts, and ending them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.orm import Session

from sisgate.domain.links import Link
from sisgate.domain.states import FINAL_JOB_STATES, LIVE_JOB_STATES, CallState
from sisgate.ledger import attempts, call_statements
from sisgate.ledger.known_pages import PageOnFile
from sisgate.ledger.schema import Attempt, Call, Job
from sisgate.ledger.statements import change
from sisgate.ledger.states import is_still
from sisgate.providers.dialect import Position

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Requests that may be repeated blindly. RFC 9110, section 9.2.1."""


HTML_PAGE = "html_page"
"""What is noted of a call whose good answer was a page for people."""


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
    published_at: datetime | None
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
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class ClaimedListing:
    """What a worker needs of the listing that its call reads, as it was then."""

    id: int
    plan: dict[str, Any]
    total: int | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A call that this worker may make, its job and its listing.

    `known_page` is what the last full read knew of the page that it reads.
    """

    call: ClaimedCall
    job: ClaimedJob
    listing: ClaimedListing | None
    known_page: PageOnFile | None = None

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
    attempt = Attempt(
        call_id=call.id, number=call.attempt, permit=permit, provider=call.provider,
        started_at=now, lease_until=call.lease_until,
    )  # fmt: skip
    session.add(attempt)


def _cancel_unwanted(session: Session, call_id: int, now: datetime) -> None:
    # A call may be put back in the moment in which its job is cancelled; its message ends it.
    ended = select(Job.id).where(Job.id == Call.job_id, Job.state.in_(FINAL_JOB_STATES)).exists()
    is_queued = is_still(Call.state, CallState.QUEUED)
    unwanted = update(Call).where(Call.id == call_id, is_queued, ended)
    change(session, unwanted.values(state=CallState.CANCELLED, ended_at=now))


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
        session, claimed, now, status, state=_waiting_if_wanted(), not_before=not_before,
        error=dict(error) if error else None, **spent,
    )  # fmt: skip


def release(
    session: Session,
    claimed: ClaimedCall,
    now: datetime,
    *,
    not_before: datetime,
    link: Link | None = None,
) -> bool:
    """Undo a claim whose call was not begun: it waits, and nothing is held against it.

    `link` is where it broke off, None if it only waited.
    """
    attempts.not_sent(session, claimed.id, claimed.attempt, now, link)
    waiting = {"state": _waiting_if_wanted(), "not_before": not_before, "lease_until": None}
    return change(session, update(Call).where(is_held(claimed)).values(waiting)) == 1


def _leave(
    session: Session, claimed: ClaimedCall, now: datetime, answered: int | None, **values: Any
) -> bool:
    left = change(session, update(Call).where(is_held(claimed)).values(lease_until=None, **values))
    call_statements.end_attempt(session, claimed.id, claimed.attempt, now, answered)
    return left == 1


def is_held(claimed: ClaimedCall) -> ColumnElement[bool]:
    """Return the condition that a call is still its worker's, which fences all that one writes."""
    is_same = (Call.id == claimed.id) & (Call.attempt == claimed.attempt)
    return is_same & is_still(Call.state, CallState.RUNNING)


def changes_something() -> ColumnElement[bool]:
    """Return the condition of a call that must not be repeated blindly."""
    is_unsafe: ColumnElement[bool] = Call.target["method"].as_string().not_in(SAFE_METHODS)
    return (Call.purpose == Purpose.REQUEST.value) & is_unsafe


def _waiting_if_wanted() -> Any:
    # The call of a job that has ended would be published for ever, and never claimed.
    is_live = is_still(Job.state, *LIVE_JOB_STATES)
    wanted = select(Job.id).where(Job.id == Call.job_id, is_live).exists()
    return case((wanted, CallState.PLANNED.value), else_=CallState.CANCELLED.value)
