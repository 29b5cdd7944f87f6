"""The retry budget: few of a provider's calls that are out at a time repeat what has failed.

A retry is out from its publish to its end, and a failover from its second request on. Both begin
only here, one provider at a time in the whole fleet, so the budget holds for all workers together.
What finds no room waits in the ledger, due, and spends no try.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Row, select, text, update
from sqlalchemy.orm import Session

from sisgate.domain.retries import RetryPolicy
from sisgate.domain.states import CallState
from sisgate.ledger import call_statements
from sisgate.ledger.calls import ClaimedCall, begin_attempt, is_held
from sisgate.ledger.redelivery import Address, publish_again
from sisgate.ledger.schema import Call
from sisgate.ledger.statements import change, count, is_postgresql
from sisgate.ledger.states import is_in, is_still, live_retry

Held = Row[int, int]
"""Id and priority of a retry."""


def due(session: Session, now: datetime, policy_of: Callable[[str], RetryPolicy]) -> list[Address]:
    """Move retries whose wait is over to `queued`, the most urgent first, as far as there is room.

    Where there is none, one that waits takes the place of a less urgent one that has not begun:
    that one waits again, and its message finds nothing to do.
    """
    found: list[Address] = []
    for provider in _providers_with_due(session, now):
        policy = policy_of(provider)
        _alone(session, provider)
        allowed = _allowed(session, provider, policy)
        waiting = _waiting(session, provider, now, allowed)
        room = max(0, allowed - _out(session, provider))
        begins, more = waiting[:room], waiting[room:]
        begins += more[: _make_way(session, provider, [row.priority for row in more], now)]
        is_planned = is_still(Call.state, CallState.PLANNED)
        chosen = Call.id.in_([row.id for row in begins]) & is_planned
        found += publish_again(session, chosen, now, state=CallState.QUEUED.value, not_before=None)
    return found


def begin_again(
    session: Session,
    claimed: ClaimedCall,
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
    if not _has_room_for(session, claimed, policy, now):
        return False
    end = now + lease
    next_attempt = {"attempt": Call.attempt + 1, "lease_until": end, "is_retry": True}
    if not change(session, update(Call).where(is_held(claimed)).values(next_attempt)):
        return False
    call_statements.end_attempt(session, claimed.id, claimed.attempt, now, status)
    claimed.attempt, claimed.lease_until, claimed.is_retry = claimed.attempt + 1, end, True
    begin_attempt(session, claimed, now, permit)
    return True


def _has_room_for(session: Session, call: ClaimedCall, policy: RetryPolicy, now: datetime) -> bool:
    """Return whether a running call may be repeated at once; room stays its own until the commit.

    A call that is a retry already has its place.
    """
    if call.is_retry:
        return True
    _alone(session, call.provider)
    if _allowed(session, call.provider, policy) > _out(session, call.provider):
        return True
    return _make_way(session, call.provider, [call.priority], now) > 0


def _alone(session: Session, provider: str) -> None:
    # A write transaction is alone on SQLite. On PostgreSQL the lock ends with the transaction.
    if is_postgresql(session):
        name = f"sisgate:retries:{provider}"
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        session.execute(lock, {"name": name})


def _providers_with_due(session: Session, now: datetime) -> list[str]:
    query = (
        select(Call.provider)
        .where(live_retry(CallState.PLANNED), Call.not_before <= now)
        .distinct()
    )
    return sorted(session.scalars(query))


def _waiting(session: Session, provider: str, now: datetime, most: int) -> list[Held]:
    due = (Call.provider == provider, live_retry(CallState.PLANNED), Call.not_before <= now)
    query = select(Call.id, Call.priority).where(*due)
    return list(
        session.execute(query.order_by(Call.priority, Call.not_before, Call.id).limit(most))
    )


def _allowed(session: Session, provider: str, policy: RetryPolicy) -> int:
    """Return how many retries may be out at a time beside the calls that run now."""
    running = is_in(Call.state, CallState.RUNNING)
    return policy.retries_allowed(
        count(session, select(Call.id).where(Call.provider == provider, running))
    )


def _out(session: Session, provider: str) -> int:
    """Return how many retries of a provider are out."""
    out = live_retry(CallState.QUEUED, CallState.RUNNING)
    return count(session, select(Call.id).where(Call.provider == provider, out))


def _make_way(session: Session, provider: str, priorities: list[int], now: datetime) -> int:
    """Let less urgent retries wait again for more urgent ones; return for how many of those.

    `priorities` are those of the ones that want to begin, the most urgent first.
    """
    if not priorities:
        return 0
    queued = session.execute(
        select(Call.id, Call.priority)
        .where(
            Call.provider == provider, live_retry(CallState.QUEUED), Call.priority > min(priorities)
        )
        .order_by(Call.priority.desc(), Call.published_at.desc())
        .limit(len(priorities))
    ).all()
    giving = [
        row.id for row, wanted in zip(queued, priorities, strict=False) if wanted < row.priority
    ]
    moved = update(Call).where(Call.id.in_(giving), is_still(Call.state, CallState.QUEUED))
    return change(session, moved.values(state=CallState.PLANNED.value, not_before=now))
