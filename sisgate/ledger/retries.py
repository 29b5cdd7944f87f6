"""The retry budget: few of a provider's calls that are out at a time repeat what has failed.

A retry is out from its publish to its end, and a failover from its second request on. Both begin
only here, one provider at a time in the whole fleet, so the budget holds for all workers together.
What finds no room waits in the ledger, due, and spends no try.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.orm import Session

from sisgate.domain.retries import RetryPolicy
from sisgate.domain.states import CallState
from sisgate.ledger.redelivery import Address, publish_again
from sisgate.ledger.schema import Call

Held = Row[tuple[int, int]]
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
        waiting = _waiting(session, provider, now, policy)
        room = _room(session, provider, policy)
        begins, more = waiting[: max(0, room)], waiting[max(0, room) :]
        begins += more[: _make_way(session, provider, [row.priority for row in more], now)]
        chosen = Call.id.in_([row.id for row in begins]) & (Call.state == CallState.PLANNED.value)
        found += publish_again(session, chosen, now, state=CallState.QUEUED.value, not_before=None)
    return found


def have_room_for(session: Session, call: Call, policy: RetryPolicy, now: datetime) -> bool:
    """Return whether a running call may be repeated at once; room stays its own until the commit.

    A call that is a retry already has its place.
    """
    if call.is_retry:
        return True
    _alone(session, call.provider)
    if _room(session, call.provider, policy) > 0:
        return True
    return _make_way(session, call.provider, [call.priority], now) > 0


def _alone(session: Session, provider: str) -> None:
    # A write transaction is alone on SQLite. On PostgreSQL the lock ends with the transaction.
    if session.get_bind().dialect.name == "postgresql":
        name = f"sisgate:retries:{provider}"
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        session.execute(lock, {"name": name})


def _providers_with_due(session: Session, now: datetime) -> list[str]:
    query = (
        select(Call.provider)
        .where(Call.is_retry, Call.state == CallState.PLANNED.value, Call.not_before <= now)
        .distinct()
    )
    return sorted(session.scalars(query))


def _waiting(session: Session, provider: str, now: datetime, policy: RetryPolicy) -> list[Held]:
    running = _count(session, provider, running=True)
    return list(
        session.execute(
            select(Call.id, Call.priority)
            .where(
                Call.is_retry,
                Call.provider == provider,
                Call.state == CallState.PLANNED.value,
                Call.not_before <= now,
            )
            .order_by(Call.priority, Call.not_before, Call.id)
            .limit(policy.retries_allowed(running))
        )
    )


def _room(session: Session, provider: str, policy: RetryPolicy) -> int:
    running = _count(session, provider, running=True)
    return policy.retries_allowed(running) - _count(session, provider, running=False)


def _count(session: Session, provider: str, *, running: bool) -> int:
    """Return how many calls of a provider run, or else how many of its retries are out."""
    query = select(func.count()).select_from(Call).where(Call.provider == provider)
    if running:
        query = query.where(Call.state == CallState.RUNNING.value)
    else:
        out = [CallState.QUEUED.value, CallState.RUNNING.value]
        query = query.where(Call.is_retry, Call.state.in_(out))
    return session.scalar(query) or 0


def _make_way(session: Session, provider: str, priorities: list[int], now: datetime) -> int:
    """Let less urgent retries wait again for more urgent ones; return for how many of those.

    `priorities` are those of the ones that want to begin, the most urgent first.
    """
    if not priorities:
        return 0
    queued = session.execute(
        select(Call.id, Call.priority)
        .where(
            Call.is_retry,
            Call.provider == provider,
            Call.state == CallState.QUEUED.value,
            Call.priority > min(priorities),
        )
        .order_by(Call.priority.desc(), Call.published_at.desc())
        .limit(len(priorities))
    ).all()
    giving = [
        row.id for row, wanted in zip(queued, priorities, strict=False) if wanted < row.priority
    ]
    moved = session.scalars(
        update(Call)
        .where(Call.id.in_(giving), Call.state == CallState.QUEUED.value)
        .values(state=CallState.PLANNED.value, not_before=now)
        .returning(Call.id)
        .execution_options(synchronize_session=False)
    )
    return len(moved.all())
