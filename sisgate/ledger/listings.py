"""Listings in the ledger: which lists a sync reads and what their pages said."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from sisgate.domain.states import CallState
from sisgate.ledger.calls import ClaimedCall, Purpose
from sisgate.ledger.schema import Call, Job, ListingRow


def add(session: Session, job_id: str, plans: Mapping[str, Mapping[str, Any]]) -> list[ListingRow]:
    """Insert the listings that the job does not have yet, by name; return the new ones."""
    if not plans:
        return []
    known = {row.name for row in of_job(session, job_id)}
    new = [
        ListingRow(job_id=job_id, name=name, plan=dict(plan))
        for name, plan in plans.items()
        if name not in known
    ]
    session.add_all(new)
    session.flush()
    return new


def of_job(session: Session, job_id: str) -> Sequence[ListingRow]:
    """Return the listings of a job that are still part of it."""
    return session.scalars(
        select(ListingRow)
        .where(ListingRow.job_id == job_id, ListingRow.replaced.is_(False))
        .order_by(ListingRow.id)
    ).all()


def replace_all(session: Session, job_id: str) -> None:
    """Take all listings of a job out of it; what they brought stays."""
    session.execute(update(ListingRow).where(ListingRow.job_id == job_id).values(replaced=True))


def pages_of(session: Session, job_id: str) -> Sequence[Call]:
    """Return the job's calls that brought a page, in the order of their planning."""
    return session.scalars(
        select(Call)
        .where(
            Call.job_id == job_id,
            Call.state == CallState.DONE,
            Call.purpose.in_([Purpose.PAGE, Purpose.BRIDGE]),
        )
        .order_by(Call.id)
    ).all()


def adopt(session: Session, pages: Sequence[Call], job: Job, row: ListingRow) -> None:
    """Copy pages that an earlier job has read into a listing of this one. No call is made for them.

    Of an earlier job's call only what it brought is kept: attempts and permits are the other's.
    """
    kept = ("purpose", "state", "look", "start", "page", "size", "ended_at", "endpoint", "status",
            "body_bytes", "rows", "total", "edges", "error")  # fmt: skip
    session.execute(
        insert(Call),
        [
            {name: getattr(page, name) for name in kept}
            | {
                "job_id": job.id,
                "listing_id": row.id,
                "provider": job.provider,
                "priority": job.priority,
                "planned_at": page.planned_at,
            }
            for page in pages
        ],
    )


def pages_to_compare(session: Session, call: ClaimedCall) -> Sequence[Call]:
    """Return the pages of a chain that tell whether `call` came to one that was read before.

    They are the first page, the page just before, which finds a server that ignores the position
    at once, and the newest whose number is a power of two, which finds a longer circle as well
    (Brent's algorithm); in the order in which they were read.
    """
    earlier = (
        Call.listing_id == call.listing_id,
        Call.state == CallState.DONE,
        Call.purpose == Purpose.PAGE,
        Call.look == call.look,
        Call.id < call.id,
    )
    count = session.scalar(select(func.count()).select_from(Call).where(*earlier)) or 0
    if count == 0:
        return []
    offsets = {0, count - 1, (1 << (count.bit_length() - 1)) - 1}
    pages = select(Call).where(*earlier).order_by(Call.id).limit(1)
    return [session.scalars(pages.offset(offset)).one() for offset in sorted(offsets)]
