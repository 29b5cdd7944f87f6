"""What a person should look at: jobs by what they need, and syncs that are still held."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sisgate.domain.states import JobState
from sisgate.ledger.deletions import waits_for_approval
from sisgate.ledger.job_search import whose
from sisgate.ledger.schema import Job
from sisgate.ledger.states import job_ended_as, job_is_live

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
    query = select(Job).where(waits_for_approval(), *whose(None, app, places))
    return session.scalars(query.order_by(Job.accepted_at.desc()).limit(limit)).all()


def unsettled(session: Session, app: str | None, places: Places) -> tuple[int, int]:
    """Return how many jobs are of unknown outcome, and how many were given up and not retried."""
    mine = whose(None, app, places)
    unknown = select(func.count()).select_from(Job).where(job_ended_as(JobState.UNKNOWN), *mine)
    dead = select(func.count()).select_from(Job).where(Job.dead, Job.retried_as.is_(None), *mine)
    return session.scalar(unknown) or 0, session.scalar(dead) or 0
