"""What a held sync would delete, record by record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sisgate.domain.states import JobState
from sisgate.errors import InvalidState
from sisgate.gateway.core import Core
from sisgate.gateway.job import visible_status
from sisgate.gateway.record_browsing import check_ids
from sisgate.ledger import deletions, jobs
from sisgate.ledger.schema import Dataset


@dataclass(frozen=True)
class DoomedRecord:
    """A record that a held sync would delete.

    `why` is `absent` (a complete read has not seen it) or `marked` (the provider says it is gone).
    """

    sourced_id: str
    why: Literal["absent", "marked"]
    first_seen: datetime
    last_seen: datetime
    changed_at: datetime


@dataclass(frozen=True)
class HeldDeletions:
    """What a held sync would delete as far as is known now, in order of sourcedId.

    Approving reads the whole list again, which decides. Of the dataset's `live` records, `absent`
    and `marked` would go; they are counted with the first page only, else None. `next` is the id at
    which the following records start.
    """

    job_id: str
    provider: str
    resource: str
    live: int | None
    absent: int | None
    marked: int | None
    records: Sequence[DoomedRecord]
    next: str | None


def read_deletions(core: Core, job_id: str, start: str, limit: int) -> HeldDeletions:
    """Return a page of them; `InvalidState` for a job that is not held."""
    check_ids([start])
    status = visible_status(core, job_id)
    if status.state is not JobState.HELD or status.resource is None:
        raise InvalidState(f"Job {job_id} is {status.state.value}, not held.", job=job_id)
    with core.database.read() as session:
        job = jobs.get(session, job_id)
        generation = job.generation if job.mode == "full" and job.complete else None
        dataset = session.get(Dataset, (status.provider, status.resource))
        if dataset is None:
            return HeldDeletions(job_id, status.provider, status.resource, 0, 0, 0, (), None)
        counted = None
        if not start:
            counted = deletions.count(session, dataset, job_id, generation)
        rows = deletions.rows(session, dataset, job_id, generation, start=start, limit=limit + 1)
    found = [
        DoomedRecord(
            row.sourced_id, "marked" if row.is_marked else "absent",
            row.first_seen, row.last_seen, row.changed_at,
        )
        for row in rows[:limit]
    ]  # fmt: skip
    return HeldDeletions(
        job_id, status.provider, status.resource,
        counted.live if counted else None, counted.absent if counted else None,
        counted.marked if counted else None, found,
        rows[limit].sourced_id if len(rows) > limit else None,
    )  # fmt: skip
