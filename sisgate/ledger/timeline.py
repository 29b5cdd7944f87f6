"""The calls of a job with their tries, for its timeline, and what happened around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sisgate.domain.call_results import CALL_OUTCOME
from sisgate.domain.past_waits import BegunCall
from sisgate.ledger.error_patterns import NOT_ERRORS
from sisgate.ledger.schema import Alert, Attempt, AuditEvent, Call

MOST_ENDED = 2000
"""Ends of a job's tries that are looked through for those that could not be sent: the newest."""


class Try(NamedTuple):
    """One time a call was begun. `unsent` is the error's code if it could not even be sent."""

    number: int
    started_at: datetime
    ended_at: datetime | None
    lease_until: datetime
    status: int | None = None
    unsent: str | None = None


def calls_with_tries(
    session: Session, job_id: str, limit: int, now: datetime
) -> Sequence[tuple[Call, Sequence[Try]]]:
    """Return the first calls of a job, each with its tries in order."""
    calls = session.scalars(
        select(Call).where(Call.job_id == job_id).order_by(Call.id).limit(limit)
    )
    found = {call.id: (call, []) for call in calls}  # type: dict[int, tuple[Call, list[Try]]]
    attempts = select(Attempt).where(Attempt.call_id.in_(list(found)))
    for each in session.scalars(attempts):
        moments = each.started_at, each.ended_at, each.lease_until
        found[each.call_id][1].append(Try(each.number, *moments, each.status))
    # Of a try that was not sent only the audit log tells: it counts against no quota.
    gaps = [call for call, tries in found.values() if call.attempt > len(tries)]
    if gaps:
        since = min(call.planned_at for call in gaps)
        until = max(call.ended_at or now for call in gaps)
        for call_id, unsent in _unsent(session, job_id, since, until):
            if call_id in found:
                found[call_id][1].append(unsent)
    return [(call, sorted(tries, key=lambda e: e.number)) for call, tries in found.values()]


def _unsent(
    session: Session, job_id: str, since: datetime, until: datetime
) -> Iterator[tuple[int, Try]]:
    event = AuditEvent
    query = select(event).where(
        event.at.between(since, until), event.job_id == job_id, event.action == CALL_OUTCOME
    )
    for each in session.scalars(query.order_by(event.at.desc()).limit(MOST_ENDED)):
        detail = each.detail or {}
        code = detail.get("error")
        if detail.get("sent") is False and code and code not in NOT_ERRORS:
            at, number = each.at, int(detail.get("attempt", 0))
            yield int(each.subject.removeprefix("call/")), Try(number, at, at, at, unsent=code)


def contacts(
    session: Session, provider: str, since: datetime, until: datetime, limit: int
) -> Sequence[BegunCall]:
    """Return the calls that were begun at a provider, the last ones in order of time."""
    query = select(Attempt.started_at, Call.priority, Attempt.status).join(
        Call, Call.id == Attempt.call_id
    )
    query = query.where(
        Attempt.provider == provider, Attempt.started_at >= since, Attempt.started_at < until
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
