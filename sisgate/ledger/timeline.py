"""The calls of a job with their tries, for its timeline, and what happened around them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sisgate.domain.links import Link
from sisgate.domain.past_waits import BegunCall
from sisgate.ledger.attempts import was_sent
from sisgate.ledger.schema import Alert, Attempt, AuditEvent, Call

MOST_TRIES = 5000
"""Tries that are read, the newest: a call that cannot be sent is tried for days."""


class Try(NamedTuple):
    """One time a call was begun. `unsent` is where it broke off if it could not be sent."""

    number: int
    started_at: datetime
    ended_at: datetime | None
    lease_until: datetime
    status: int | None = None
    unsent: Link | None = None


def calls_with_tries(
    session: Session, job_id: str, limit: int
) -> Sequence[tuple[Call, Sequence[Try]]]:
    """Return the first calls of a job, each with its tries in order."""
    calls = session.scalars(
        select(Call).where(Call.job_id == job_id).order_by(Call.id).limit(limit)
    )
    found = {call.id: (call, []) for call in calls}  # type: dict[int, tuple[Call, list[Try]]]
    attempts = select(Attempt).where(Attempt.call_id.in_(list(found)))
    attempts = attempts.order_by(Attempt.started_at.desc()).limit(MOST_TRIES)
    for each in session.scalars(attempts):
        moments = each.started_at, each.ended_at, each.lease_until
        unsent = Link(each.unsent) if each.unsent else None
        found[each.call_id][1].append(Try(each.number, *moments, each.status, unsent))
    return [(call, sorted(tries, key=lambda e: e.number)) for call, tries in found.values()]


def contacts(
    session: Session, provider: str, since: datetime, until: datetime, limit: int
) -> Sequence[BegunCall]:
    """Return the calls that were begun at a provider, the last ones in order of time."""
    query = select(Attempt.started_at, Call.priority, Attempt.status).join(
        Call, Call.id == Attempt.call_id
    )
    query = query.where(
        Attempt.provider == provider,
        Attempt.started_at >= since,
        Attempt.started_at < until,
        was_sent(),
    )
    rows = session.execute(query.order_by(Attempt.started_at.desc()).limit(limit)).all()
    return [BegunCall(*row) for row in reversed(rows)]


def pauses(
    session: Session, provider: str, since: datetime, until: datetime
) -> Sequence[AuditEvent]:
    """Return the events of pausing and resuming a provider by hand, oldest first."""
    event = AuditEvent
    query = select(event).where(event.at >= since, event.at < until, event.subject == provider)
    query = query.where(event.action.in_(["limits:provider:pause", "limits:provider:resume"]))
    return session.scalars(query.order_by(event.at)).all()


def alerts_between(
    session: Session, provider: str, since: datetime, until: datetime
) -> Sequence[Alert]:
    """Return the alerts of a provider, or of all, whose condition held then."""
    query = select(Alert).where(
        or_(Alert.provider == provider, Alert.provider.is_(None)), Alert.since < until,
        Alert.changed_at >= since, or_(Alert.resolved_at.is_(None), Alert.resolved_at > since),
    )  # fmt: skip
    return session.scalars(query.order_by(Alert.since)).all()
