"""Responses of `request` jobs: sealed by the caller, capped, kept for a while."""

from __future__ import annotations

from sqlalchemy.orm import Session

from sisgate.ledger.schema import Response


def store(session: Session, response: Response) -> None:
    """Keep the response of a job."""
    session.merge(response)


def get(session: Session, job_id: str) -> Response | None:
    """Return the response of a job, or None if there is none (any more)."""
    return session.get(Response, job_id)
