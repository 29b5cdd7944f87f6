"""Calls whose message is due, lost or overdue, for the reconciler.

Each function notes the new publish in the ledger and returns addresses (id, provider, priority);
the caller publishes them after its commit. A copy too many is harmless: one claim wins.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select, tuple_, update
from sqlalchemy.orm import Session

from sisgate.domain.priorities import Priority
from sisgate.domain.states import LIVE_JOB_STATES, CallState, JobState
from sisgate.ledger.calls import ClaimedCall, changes_something
from sisgate.ledger.schema import Attempt, Call, Job
from sisgate.ledger.statements import change
from sisgate.ledger.states import is_in, is_still

POISON_LIMIT = 3
"""A call whose worker was lost this many times is not tried again."""

OVERTAKING_LOOK = timedelta(minutes=1)
"""How far back starts of calls are looked at for those that they overtook."""

Address = tuple[int, str, int]
"""Id, provider and priority of a call: what a message is made of."""


def is_any_due(session: Session, now: datetime) -> bool:
    """Return whether the wait of any call is over, a retry's included."""
    planned = is_in(Call.state, CallState.PLANNED)
    found = select(Call.id).where(planned, Call.not_before <= now).limit(1)
    return session.scalar(found) is not None


def is_any_lost(session: Session, now: datetime) -> bool:
    """Return whether the lease of any running call has run out."""
    return session.scalar(select(Call.id).where(_is_lost(now)).limit(1)) is not None


def due(session: Session, now: datetime, limit: int = 500) -> list[Address]:
    """Move calls whose wait is over to `queued`; retries, which have a budget, are in `retries`."""
    planned = is_in(Call.state, CallState.PLANNED)
    ids = select(Call.id).where(planned, Call.not_before <= now, Call.is_retry.is_(False))
    ids = ids.order_by(Call.priority, Call.not_before).limit(limit)
    is_planned = is_still(Call.state, CallState.PLANNED)
    chosen = Call.id.in_(ids.with_for_update(skip_locked=True)) & is_planned
    return publish_again(session, chosen, now, state=CallState.QUEUED.value, not_before=None)


def waiting_queues(session: Session, now: datetime, grace: timedelta) -> list[tuple[str, int]]:
    """Return provider and priority of each queue with a call published more than `grace` ago."""
    rows = session.execute(
        select(Call.provider, Call.priority)
        .where(is_in(Call.state, CallState.QUEUED), Call.published_at < now - grace)
        .group_by(Call.provider, Call.priority)
    )
    return [(row.provider, row.priority) for row in rows]


def missing(
    session: Session,
    empty: Sequence[tuple[str, int]],
    now: datetime,
    grace: timedelta,
    limit: int = 500,
) -> list[Address]:
    """Return queued calls whose messages must be gone, the most urgent first.

    `empty` are pairs of provider and priority whose lists in the broker hold nothing, so every
    message published to them more than `grace` ago has been delivered or lost.
    """
    if not empty:
        return []
    ids = select(Call.id).where(tuple_(Call.provider, Call.priority).in_(list(empty)))
    ids = ids.order_by(Call.priority, Call.id).limit(limit)
    return publish_again(session, _queued_before(now - grace, ids), now)


def overtaken(session: Session, now: datetime, grace: timedelta, limit: int = 500) -> list[Address]:
    """Return queued calls that later ones of their own queue have passed.

    One priority of one provider is first in, first out. If a call published `grace` after this
    one has started, this one's message was lost between the broker and its worker.
    """
    passed = session.execute(
        select(Call.provider, Call.priority, func.max(Call.published_at))
        .join(Attempt, (Attempt.call_id == Call.id))
        .where(Attempt.started_at > now - OVERTAKING_LOOK, Attempt.started_at >= Call.published_at)
        .group_by(Call.provider, Call.priority)
    ).all()
    found: list[Address] = []
    for provider, priority, published_at in passed:
        if published_at is None:
            continue
        ids = select(Call.id).where(Call.provider == provider, Call.priority == priority)
        chosen = _queued_before(published_at - grace, ids.limit(limit))
        found += publish_again(session, chosen, now)
    return found


def age(session: Session, now: datetime, after: timedelta, limit: int = 100) -> list[Address]:
    """Raise calls of a starved queue by one priority, up to high, the oldest first.

    A queue is starved when its calls have waited `after` and none of it has started for as long:
    work that is only slow keeps its priority. Urgent is not reached: that is for people who wait.
    The old message finds its call claimed.
    """
    served = (
        select(Call.provider, Call.priority)
        .join(Attempt, Attempt.call_id == Call.id)
        .where(Attempt.started_at > now - after)
        .distinct()
    )
    ids = select(Call.id).where(
        Call.priority > int(Priority.HIGH), tuple_(Call.provider, Call.priority).not_in(served)
    )
    ids = ids.order_by(Call.published_at).limit(limit)
    one_up = case(
        (Call.priority == int(Priority.LOW), int(Priority.NORMAL)), else_=int(Priority.HIGH)
    )
    return publish_again(session, _queued_before(now - after, ids), now, priority=one_up)


def recover_lost(
    session: Session, now: datetime, tell: Callable[[Call], object] = lambda _: None
) -> list[Call]:
    """Put back every running call whose lease ran out; return those that must not be repeated.

    A lost worker spends no try of the call. Not repeated are a call that has lost `POISON_LIMIT`
    workers, which is `failed`, and a request that may have changed something at the provider,
    which is `unknown`: they are returned for the caller to end their jobs, which are locked.
    Another call of an ended job is cancelled. `tell` is told of each, as it is afterwards.
    """
    expired = _is_lost(now)
    # Jobs first, in one order, as every writer locks; those at work elsewhere wait for their turn.
    locked = session.scalars(
        select(Job)
        .where(Job.id.in_(select(Call.job_id).where(expired)))
        .order_by(Job.id)
        .with_for_update(skip_locked=True)
    ).all()
    if not locked:
        return []
    live = [job.id for job in locked if job.state in {s.value for s in LIVE_JOB_STATES}]
    recovered = session.scalars(
        update(Call)
        .where(expired, Call.job_id.in_([job.id for job in locked]))
        .values(
            lost_workers=Call.lost_workers + 1,
            # The claim is taken away from its worker: a late write no longer fits the attempt.
            attempt=Call.attempt + 1,
            state=case(
                (changes_something(), CallState.UNKNOWN.value),
                (Call.job_id.not_in(live), CallState.CANCELLED.value),
                (Call.lost_workers + 1 >= POISON_LIMIT, CallState.FAILED.value),
                else_=CallState.PLANNED.value,
            ),
            ended_at=case((Call.job_id.not_in(live), now), else_=None),
            not_before=now,
            lease_until=None,
        )
        .returning(Call)
        .execution_options(synchronize_session=False)
    )
    jobs_by_id = {job.id: job for job in locked}
    for call in recovered.all():
        # The provider may have seen it, and its attempt counts against the quota.
        jobs_by_id[call.job_id].calls_made += 1
        tell(call)
    return list(
        session.scalars(
            select(Call).where(
                Call.job_id.in_(live),
                Call.state.in_([CallState.FAILED, CallState.UNKNOWN]),
                Call.lost_workers > 0,
                Call.ended_at.is_(None),
            )
        )
    )


def take_up_again(session: Session, job: Job, claimed: ClaimedCall, now: datetime) -> None:
    """Give a request that was taken for lost back to its worker, which had only stood still.

    Nobody else makes a request whose outcome is unknown, and its worker knows the outcome. So the
    claim is the worker's again, and the job goes on unless its time is over. The job must be
    locked; where a person has said meanwhile what became of it, nothing happens.
    """
    if job.state != JobState.UNKNOWN:
        return
    is_untouched = (
        Call.id == claimed.id,
        Call.attempt == claimed.attempt + 1,
        Call.state == CallState.UNKNOWN,
    )
    returned = {"attempt": claimed.attempt, "state": CallState.RUNNING.value, "ended_at": None}
    if not change(session, update(Call).where(*is_untouched).values(returned)):
        return
    # Of the attempt nobody knew whether the provider had seen it; its worker counts it itself.
    job.calls_made -= 1
    if job.expires_at is None or job.expires_at > now:
        job.state, job.ended_at, job.error = JobState.RUNNING.value, None, None
        session.flush()


def _is_lost(now: datetime) -> ColumnElement[bool]:
    """Return the condition of a running call whose lease has run out."""
    return is_in(Call.state, CallState.RUNNING) & (Call.lease_until < now)


def _queued_before(before: datetime, ids: Select[int]) -> ColumnElement[bool]:
    """Return the condition of those of the chosen calls that were last published before a time."""
    is_old = Call.published_at < before
    chosen = ids.where(is_in(Call.state, CallState.QUEUED), is_old)
    # Asked again where the row is written: another reconciler may have published it meanwhile.
    again = is_still(Call.state, CallState.QUEUED) & is_old
    return Call.id.in_(chosen.with_for_update(skip_locked=True)) & again


def publish_again(session: Session, chosen: Any, now: datetime, **values: Any) -> list[Address]:
    """Note a new publish of the chosen calls; return their addresses, the most urgent first."""
    rows = session.execute(
        update(Call)
        .where(chosen)
        .values(published_at=now, **values)
        .returning(Call.priority, Call.id, Call.provider)
        .execution_options(synchronize_session=False)
    )
    addresses = [(row.id, row.provider, row.priority) for row in rows]
    return sorted(addresses, key=lambda address: (address[2], address[0]))
