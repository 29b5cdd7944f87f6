"""What became of jobs lately, and which wait for a person: facts of a verdict.

Each function reads a bounded number of rows.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session, aliased

from sisgate.domain.states import JobKind, JobState
from sisgate.ledger.datasets import ASK_AGAIN, REFUSED
from sisgate.ledger.deletions import waits_for_approval
from sisgate.ledger.recent_work import SAMPLE, ErrorRow, among
from sisgate.ledger.schema import Dataset, Job
from sisgate.ledger.states import is_still, job_ended_as


def failed_jobs(
    session: Session, since: datetime, providers: Sequence[str] | None = None
) -> list[ErrorRow]:
    """Return the jobs that ended without success since a time, newest first."""
    failed = is_still(Job.state, JobState.FAILED, JobState.EXPIRED, JobState.UNKNOWN)
    rows = session.execute(
        select(Job.provider, Job.id, Job.ended_at, Job.error, Job.resource)
        .where(
            Job.ended_at.is_not(None),
            Job.ended_at >= since,
            failed,
            Job.error.is_not(None),
            among(Job.provider, providers),
        )
        .order_by(Job.ended_at.desc())
        .limit(SAMPLE)
    )
    return [ErrorRow(*row) for row in rows]


def held_syncs(
    session: Session, providers: Sequence[str] | None = None, resource: str | None = None
) -> list[Job]:
    """Return the syncs whose deletions wait for approval: no later one of the dataset is done."""
    query = select(Job).where(
        waits_for_approval(),
        among(Job.provider, providers),
        true() if resource is None else Job.resource == resource,
    )
    return list(session.scalars(query.order_by(Job.ended_at.desc()).limit(SAMPLE)))


def unsettled(session: Session, providers: Sequence[str] | None = None) -> list[Job]:
    """Return the jobs of unknown outcome, the oldest first."""
    query = select(Job).where(job_ended_as(JobState.UNKNOWN), among(Job.provider, providers))
    return list(session.scalars(query.order_by(Job.ended_at).limit(SAMPLE)))


def failed_syncs(
    session: Session, now: datetime, providers: Sequence[str] | None = None
) -> list[Job]:
    """Return the newest sync of each dataset, if it failed lately and no other try helps.

    Datasets that a provider does not offer are left out, see `datasets.absent`, and so are syncs
    that were refused: no provider saw them, and whoever may write to the broker names them.
    """
    later = aliased(Job)
    is_settled = (
        select(later.id)
        .where(
            later.provider == Job.provider,
            later.resource == Job.resource,
            later.ended_at > Job.ended_at,
            later.started_at.is_not(None),
            is_still(later.state, JobState.DONE, JobState.HELD, JobState.FAILED),
        )
        .exists()
    )
    read = select(Dataset.resource).where(
        Dataset.provider == Job.provider, Dataset.synced_at.is_not(None)
    )
    is_refused = func.coalesce(Job.error["status"].as_integer(), 0).in_(REFUSED)
    is_absent = is_refused & ~read.where(Dataset.resource == Job.resource).exists() & read.exists()
    query = select(Job).where(
        job_ended_as(JobState.FAILED),
        Job.started_at.is_not(None),
        Job.accepted_at > now - ASK_AGAIN,
        Job.kind == JobKind.SYNC,
        ~Job.dead,
        among(Job.provider, providers),
        ~is_settled,
        ~is_absent,
    )
    return list(session.scalars(query.order_by(Job.ended_at.desc()).limit(SAMPLE)))


def last_sync(session: Session, provider: str, resource: str) -> Job | None:
    """Return the newest sync of a dataset, whatever became of it."""
    query = select(Job).where(
        Job.kind == JobKind.SYNC, Job.provider == provider, Job.resource == resource
    )
    return session.scalar(query.order_by(Job.accepted_at.desc()).limit(1))
