"""Listings in the ledger: which lists a sync reads and what their pages said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.domain.states import CallState
from sisgate.ledger.calls import Purpose
from sisgate.ledger.schema import Call, ListingRow


def add(session: Session, job_id: str, plans: Mapping[str, Mapping[str, Any]]) -> list[ListingRow]:
    """Insert the listings that the job does not have yet, by name; return the new ones."""
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


def pages_of(session: Session, job_id: str) -> Sequence[Call]:
    """Return the job's calls that brought a page, in the order of their planning."""
    return session.scalars(
        select(Call)
        .where(
            Call.job_id == job_id,
            Call.state == CallState.DONE.value,
            Call.purpose.in_([Purpose.PAGE.value, Purpose.BRIDGE.value]),
        )
        .order_by(Call.id)
    ).all()


def page_before(session: Session, listing_id: int, call: Call) -> Call | None:
    """Return the page of a chain that was read before this call."""
    return session.scalar(
        select(Call)
        .where(
            Call.listing_id == listing_id,
            Call.state == CallState.DONE.value,
            Call.purpose == Purpose.PAGE.value,
            Call.look == call.look,
            Call.id < call.id,
        )
        .order_by(Call.id.desc())
        .limit(1)
    )
