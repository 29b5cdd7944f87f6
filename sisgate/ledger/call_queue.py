"""Calls before they are made: planned, queued within a window, or withdrawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ClauseElement, Integer, func, insert, or_, select, update
from sqlalchemy.orm import Session

from sisgate.domain.states import CallState
from sisgate.ledger.calls import Purpose
from sisgate.ledger.prepared import Prepared, given
from sisgate.ledger.schema import Call, Job
from sisgate.ledger.statements import change
from sisgate.ledger.states import is_in, is_still, live_call
from sisgate.providers.dialect import Position


@dataclass(frozen=True)
class NewCall:
    """One call to plan. `target` has a request's method, or a bridge's seam."""

    purpose: Purpose
    listing_id: int | None = None
    position: Position = field(default_factory=Position)
    target: Mapping[str, Any] | None = None
    look: int = 1


def plan(session: Session, job: Job, new: Sequence[NewCall], now: datetime) -> None:
    """Insert calls in state `planned`."""
    if not new:
        return
    session.execute(
        insert(Call),
        [
            {
                "job_id": job.id,
                "listing_id": call.listing_id,
                "provider": job.provider,
                "priority": job.priority,
                "purpose": call.purpose.value,
                "state": CallState.PLANNED.value,
                "look": call.look,
                "start": call.position.start,
                "page": call.position.page,
                "size": call.position.size,
                "link": call.position.link,
                "target": dict(call.target) if call.target else None,
                "planned_at": now,
            }
            for call in new
        ],
    )


def queue_next(session: Session, job_id: str, window: int, now: datetime) -> list[int]:
    """Move planned calls to `queued` until `window` are outstanding; return their ids.

    The caller publishes them after its commit, never before. Retries are not among them: those
    are published within their budget, see `retries`.
    """
    ((outstanding,),) = _OUTSTANDING.run(session, {"job_id": job_id})
    free = window - outstanding
    if free <= 0:
        return []
    queued = _QUEUE.run(session, {"job_id": job_id, "free": free, "now": now})
    return sorted(call_id for (call_id,) in queued)


_OUTSTANDING = Prepared(
    lambda _: (
        select(func.count())
        .select_from(Call)
        .where(Call.job_id == given("job_id"), live_call(CallState.QUEUED, CallState.RUNNING))
    ),
    is_planned_anew=True,
)


def _queue(_: bool) -> ClauseElement:
    now = given("now", Call.published_at.type)
    chosen = (
        select(Call.id)
        .where(
            Call.job_id == given("job_id"),
            live_call(CallState.PLANNED),
            Call.is_retry.is_(False),
            or_(Call.not_before.is_(None), Call.not_before <= now),
        )
        .order_by(Call.id)
        .limit(given("free", Integer()))
    )
    return (
        update(Call)
        .where(Call.id.in_(chosen), is_still(Call.state, CallState.PLANNED))
        .values(state=CallState.QUEUED.value, published_at=now, not_before=None)
        .returning(Call.id)
    )


_QUEUE = Prepared(_queue, is_planned_anew=True)


def withdraw(session: Session, job_id: str, now: datetime) -> None:
    """Cancel the calls of a job that have not been begun."""
    is_waiting = live_call(CallState.PLANNED, CallState.QUEUED)
    waiting = update(Call).where(Call.job_id == job_id, is_waiting)
    change(session, waiting.values(state=CallState.CANCELLED.value, ended_at=now))


def make_due(session: Session, providers: Sequence[str], now: datetime) -> None:
    """End the waits of providers' calls: a person has freed these, so the reasons may be gone.

    The reconciler publishes them within a second, retries within their budget; what still holds
    them lets them wait again, without spending a try.
    """
    is_waiting = is_in(Call.state, CallState.PLANNED) & (Call.not_before > now)
    waiting = update(Call).where(is_waiting, Call.provider.in_(providers))
    change(session, waiting.values(not_before=now))
