"""The calls of a job with their attempts, for its timeline."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.ledger.schema import Attempt, Call


def calls_with_attempts(
    session: Session, job_id: str, limit: int
) -> Sequence[tuple[Call, Sequence[Attempt]]]:
    """Return the first calls of a job, each with its attempts in order."""
    calls = session.scalars(
        select(Call).where(Call.job_id == job_id).order_by(Call.id).limit(limit)
    )
    found = {call.id: (call, []) for call in calls}  # type: dict[int, tuple[Call, list[Attempt]]]
    attempts = select(Attempt).where(Attempt.call_id.in_(list(found)))
    for attempt in session.scalars(attempts.order_by(Attempt.call_id, Attempt.number)):
        found[attempt.call_id][1].append(attempt)
    return list(found.values())
