"""Datasets that a provider refused and never gave: as far as we know it doesn't offer them.

Nothing is stored for it: the failed jobs say so, and what is over `ASK_AGAIN` is asked once more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sisgate.domain.states import JobKind, JobState
from sisgate.ledger.schema import Dataset, Job

ASK_AGAIN = timedelta(days=7)
REFUSED = frozenset({403, 404, 405, 410, 501})
"""Statuses of a server that has no such dataset, or does not give it to this client."""


def absent(session: Session, provider: str, now: datetime) -> list[Job]:
    """Return the newest job of each dataset that the provider refused, by name.

    One that was ever read is not absent but broken. Nor is any while nothing at all has been read:
    a provider that refuses everything has another trouble, which each sync is to report.
    """
    read = set(
        session.scalars(
            select(Dataset.resource).where(
                Dataset.provider == provider, Dataset.synced_at.is_not(None)
            )
        )
    )
    if not read:
        return []
    failed = (
        (Job.provider == provider)
        & (Job.state == JobState.FAILED.value)
        & (Job.accepted_at > now - ASK_AGAIN)
        & (Job.kind == JobKind.SYNC.value)
    )
    newest = (
        select(Job.resource, func.max(Job.accepted_at).label("at"))
        .where(failed)
        .group_by(Job.resource)
        .subquery()
    )
    rows = session.scalars(
        select(Job)
        .join(newest, (Job.resource == newest.c.resource) & (Job.accepted_at == newest.c.at))
        .where(failed)
        .order_by(Job.resource)
    )
    found = {str(job.resource): job for job in rows if (job.error or {}).get("status") in REFUSED}
    return [job for resource, job in found.items() if resource not in read]
