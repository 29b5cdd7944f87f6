"""Responses of `request` jobs: sealed by the caller, capped, kept for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.ledger.schema import Response


def store(session: Session, response: Response) -> None:
    """Keep the response of a job."""
    session.merge(response)


def get(session: Session, job_id: str) -> Response | None:
    """Return the response of a job, or None if there is none (any more)."""
    return session.get(Response, job_id)


def last_good(session: Session, asked: Sequence[str], now: datetime) -> Response | None:
    """Return the newest good response to the same question that is kept, or None.

    `asked` are the marks that the question may have been stored with.
    """
    return session.scalar(
        select(Response)
        .where(
            Response.asked.in_(asked),
            Response.status < 300,
            Response.stored_at.is_not(None),
            Response.delete_after > now,
        )
        .order_by(Response.stored_at.desc())
        .limit(1)
    )
