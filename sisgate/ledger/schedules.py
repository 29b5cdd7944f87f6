"""The jobs that schedules have asked for. Each schedule is an app of its own in the ledger."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.domain.states import LIVE_JOB_STATES
from sisgate.ledger.schema import Job


def app_of(schedule: str) -> str:
    """Return the app that a schedule's jobs are of."""
    return f"schedule/{schedule}"


def taken(session: Session, schedule: str, keys: Collection[str]) -> frozenset[str]:
    """Return the resources that have a job with one of the keys, or one that has not ended."""
    of_schedule = select(Job.resource).where(Job.app == app_of(schedule))
    # Two statements, each with an index: with OR all jobs that the schedule ever had are read.
    is_live = Job.state.in_([state.value for state in LIVE_JOB_STATES])
    live = session.scalars(of_schedule.where(is_live)).all()
    keyed = session.scalars(of_schedule.where(Job.idempotency_key.in_(keys))).all()
    return frozenset(resource for resource in (*live, *keyed) if resource)


def newest(session: Session, schedule: str, limit: int) -> Sequence[Job]:
    """Return the newest jobs of a schedule, newest first."""
    query = select(Job).where(Job.app == app_of(schedule))
    return session.scalars(query.order_by(Job.accepted_at.desc(), Job.id).limit(limit)).all()
