"""Attempts of calls in the ledger: which were sent, and what a provider may have seen of them."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from sisgate.domain.links import Link
from sisgate.ledger.schema import Attempt, Call
from sisgate.ledger.statements import change


def was_sent() -> ColumnElement[bool]:
    """Return the condition of an attempt that counts against the provider's quota."""
    return Attempt.unsent.is_(None)


def was_tried() -> ColumnElement[bool]:
    """Return the condition of an attempt that was sent, or failed on the way to the provider.

    It is what metrics count as a call: all but what was not sent for a reason of our own.
    """
    return or_(Attempt.unsent.is_(None), Attempt.unsent != Link.FLEET)


def not_sent(session: Session, call_id: int, number: int, now: datetime, link: Link | None) -> None:
    """End an attempt where it broke off before anything was sent; one that only waited is none."""
    mine = _is(call_id, number)
    if link is None:
        change(session, delete(Attempt).where(mine))
    else:
        change(session, update(Attempt).where(mine).values(unsent=link.value, ended_at=now))


def note_permit(session: Session, call_id: int, number: int, permit: str) -> None:
    """Note the permit of a call that was claimed without one."""
    change(session, update(Attempt).where(_is(call_id, number)).values(permit=permit))


def sent_since(session: Session, provider: str, since: datetime) -> list[Attempt]:
    """Return what was begun since a time, from which a limiter's state is rebuilt."""
    recent = (Attempt.provider == provider, Attempt.started_at > since, was_sent())
    return list(session.scalars(select(Attempt).where(*recent).order_by(Attempt.started_at)))


def first_of(session: Session, job_id: str) -> datetime | None:
    """Return when the first call of a job began."""
    query = select(func.min(Attempt.started_at)).join(Call, Call.id == Attempt.call_id)
    return session.scalar(query.where(Call.job_id == job_id))


def _is(call_id: int, number: int) -> ColumnElement[bool]:
    return (Attempt.call_id == call_id) & (Attempt.number == number)
