"""What a person should look at: jobs by what they need, and syncs that are still held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, aliased

from sisgate.domain.states import UNSUCCESSFUL_JOB_STATES, JobState
from sisgate.ledger.job_search import whose
from sisgate.ledger.schema import Job
from sisgate.ledger.states import is_in, job_is_live

Places = Sequence[tuple[str, str]]


def live_by_state(session: Session, app: str | None, places: Places) -> Counter[str]:
    """Return how many jobs have not ended, by state."""
    query = select(Job.state, func.count()).where(job_is_live(), *whose(None, app, places))
    counts: Counter[str] = Counter()
    for state, number in session.execute(query.group_by(Job.state)):
        counts[state] = number
    return counts


def still_held(session: Session, app: str | None, places: Places, limit: int) -> Sequence[Job]:
    """Return held syncs that no later sync of the dataset has settled, the newest first."""
    later = aliased(Job)
    settled = select(later.id).where(
        later.provider == Job.provider,
        later.resource == Job.resource,
        later.resource.is_not(None),
        later.ended_at > Job.ended_at,
        later.state.in_([JobState.DONE.value, JobState.HELD.value]),
    )
    query = select(Job).where(_ended_as(JobState.HELD), ~settled.exists())
    query = query.where(*whose(None, app, places))
    return session.scalars(query.order_by(Job.accepted_at.desc()).limit(limit)).all()


def unsettled(session: Session, app: str | None, places: Places) -> tuple[int, int]:
    """Return how many jobs are of unknown outcome, and how many were given up and not retried."""
    mine = whose(None, app, places)
    unknown = select(func.count()).select_from(Job).where(_ended_as(JobState.UNKNOWN), *mine)
    dead = select(func.count()).select_from(Job).where(Job.dead, Job.retried_as.is_(None), *mine)
    return session.scalar(unknown) or 0, session.scalar(dead) or 0


def _ended_as(state: JobState) -> ColumnElement[bool]:
    return is_in(Job.state, *UNSUCCESSFUL_JOB_STATES) & is_in(Job.state, state)
