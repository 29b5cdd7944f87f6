"""A claimed call is begun once more within its claim, at another endpoint."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from sisgate.domain.retries import RetryPolicy
from sisgate.domain.states import CallState
from sisgate.ledger import calls, retries
from sisgate.ledger.schema import Attempt, Call


def begin_again(
    session: Session,
    claimed: Call,
    now: datetime,
    lease: timedelta,
    *,
    permit: str,
    policy: RetryPolicy,
    status: int | None = None,
) -> bool:
    """Begin a claimed call once more, at another endpoint; False if that may not be.

    That is when the claim was lost, or the provider's budget for retries has no room. The former
    attempt has ended and stays counted; the claim goes on under a new lease.
    """
    if not retries.have_room_for(session, claimed, policy, now):
        return False
    end = now + lease
    moved = session.execute(
        update(Call)
        .where(
            Call.id == claimed.id,
            Call.attempt == claimed.attempt,
            Call.state == CallState.RUNNING.value,
        )
        .values(attempt=Call.attempt + 1, lease_until=end, is_retry=True)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(moved, CursorResult)
    if moved.rowcount != 1:
        return False
    session.execute(
        update(Attempt)
        .where(Attempt.call_id == claimed.id, Attempt.number == claimed.attempt)
        .values(ended_at=now, status=status)
        .execution_options(synchronize_session=False)
    )
    claimed.attempt, claimed.lease_until, claimed.is_retry = claimed.attempt + 1, end, True
    calls.begin_attempt(session, claimed, now, permit)
    return True
