"""What is to be done now, for whoever does it without the queues of Redis."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sisgate.domain.priorities import Priority
from sisgate.domain.states import CallState, JobState
from sisgate.ledger.schema import Call, Job
from sisgate.ledger.states import is_in, live_call


class QueuedCall(NamedTuple):
    """A call that waits for its permit."""

    id: int
    provider: str
    priority: Priority


def accepted(session: Session) -> Sequence[str]:
    """Return the ids of the jobs that are to be planned, the most urgent first."""
    jobs = select(Job.id).where(is_in(Job.state, JobState.ACCEPTED))
    return session.scalars(jobs.order_by(Job.priority, Job.accepted_at, Job.id)).all()


def queued(session: Session) -> Sequence[QueuedCall]:
    """Return the calls that may be made as soon as they have a permit, the most urgent first."""
    calls = select(Call.id, Call.provider, Call.priority).where(live_call(CallState.QUEUED))
    order = (Call.priority, Call.published_at, Call.id)
    return [
        QueuedCall(each.id, each.provider, Priority(each.priority))
        for each in session.execute(calls.order_by(*order))
    ]


def next_due(session: Session) -> datetime | None:
    """Return when the first of the calls that wait for a time is due."""
    planned = select(func.min(Call.not_before)).where(live_call(CallState.PLANNED))
    return session.scalar(planned)


def next_deadline(session: Session) -> datetime | None:
    """Return when the first live job expires."""
    live = is_in(Job.state, JobState.ACCEPTED, JobState.RUNNING)
    return session.scalar(select(func.min(Job.expires_at)).where(live))
