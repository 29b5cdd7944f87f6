"""Deleting what is too old, in batches: each is a short transaction of its own.

Every function yields what one batch did, by table. It may be stopped between batches and begun
again; two at once do each row once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Select, delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from sisgate.domain.states import FINAL_JOB_STATES, CallState
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Call, Change, Dataset, Job, Record, Response, UsageHour

BATCH = 500
"""Rows of a batch: a writer that waits for it waits for some hundredths of a second."""

JOBS_AT_ONCE = 50

Batches = Iterator[Counter[str]]


def delete_responses(database: Database, now: datetime) -> Batches:
    """Delete the answers of requests whose time is over."""
    chosen = select(Response.job_id).where(Response.delete_after <= now).limit(BATCH)
    while True:
        with database.write() as session:
            gone = _rows(session.execute(delete(Response).where(Response.job_id.in_(chosen))))
        yield Counter(responses=gone)
        if gone < BATCH:
            return


def count_responses(session: Session, now: datetime) -> Counter[str]:
    """Return what `delete_responses` would delete."""
    return Counter(responses=_count(session, select(Response).where(Response.delete_after <= now)))


def delete_jobs(database: Database, before: datetime) -> Batches:
    """Delete the jobs that ended before a time, with their calls, attempts and listings.

    The caller sees to it that no attempt of theirs is needed to rebuild a limiter.
    """
    ids = _ended(before).order_by(Job.ended_at).limit(JOBS_AT_ONCE)
    while True:
        with database.write() as session:
            chosen = list(session.scalars(ids))
            # A large sync has thousands of calls; they go first, so that no batch is large.
            some = select(Call.id).where(Call.job_id.in_(chosen)).limit(BATCH)
            calls = _rows(session.execute(delete(Call).where(Call.id.in_(some))))
            jobs = 0
            if calls < BATCH:
                jobs = _rows(session.execute(delete(Job).where(Job.id.in_(chosen))))
        yield Counter(jobs=jobs, calls=calls)
        if len(chosen) < JOBS_AT_ONCE and calls < BATCH:
            return


def count_jobs(session: Session, before: datetime) -> Counter[str]:
    """Return what `delete_jobs` would delete."""
    ended = _ended(before)
    return Counter(
        jobs=_count(session, ended),
        calls=_count(session, select(Call.id).where(Call.job_id.in_(ended))),
    )


def _ended(before: datetime) -> Select[Any]:
    # A call under way when its job was cancelled still has its outcome to write.
    running = select(Call.id).where(Call.job_id == Job.id, Call.state == CallState.RUNNING.value)
    final = [state.value for state in FINAL_JOB_STATES]
    return select(Job.id).where(Job.ended_at < before, Job.state.in_(final), ~running.exists())


def delete_changes(database: Database, before: datetime) -> Batches:
    """Delete each dataset's changes from its first up to the last one made before a time.

    The dataset keeps the number of the last one that is gone, its horizon: who reads from below
    it is told so.
    """
    with database.read() as session:
        datasets = session.execute(select(Dataset.provider, Dataset.resource)).all()
    for provider, resource in datasets:
        while True:
            with database.write() as session:
                gone = _delete_changes_of(session, provider, resource, before)
            yield Counter(changes=gone)
            if gone < BATCH:
                break


def _delete_changes_of(session: Session, provider: str, resource: str, before: datetime) -> int:
    here = (Change.provider == provider, Change.resource == resource)
    oldest = (
        select(Change.sequence, Change.changed_at)
        .where(*here)
        .order_by(Change.sequence)
        .limit(BATCH)
    )
    horizon = None
    for sequence, changed_at in session.execute(oldest):
        if changed_at >= before:
            break
        horizon = sequence
    if horizon is None:
        return 0
    session.execute(
        update(Dataset)
        .where(
            Dataset.provider == provider,
            Dataset.resource == resource,
            Dataset.change_horizon < horizon,
        )
        .values(change_horizon=horizon)
        .execution_options(synchronize_session=False)
    )
    return _rows(session.execute(delete(Change).where(*here, Change.sequence <= horizon)))


def count_changes(session: Session, before: datetime) -> Counter[str]:
    """Return what `delete_changes` would delete, as far as numbers and times go up together."""
    return Counter(changes=_count(session, select(Change).where(Change.changed_at < before)))


def delete_usage(database: Database, before: datetime) -> Batches:
    """Delete what was used in the hours before a time."""
    with database.write() as session:
        yield Counter(
            usage_hours=_rows(session.execute(delete(UsageHour).where(UsageHour.hour < before)))
        )


def count_usage(session: Session, before: datetime) -> Counter[str]:
    """Return what `delete_usage` would delete."""
    return Counter(usage_hours=_count(session, select(UsageHour).where(UsageHour.hour < before)))


def delete_records(database: Database, before: datetime) -> Batches:
    """Delete the records that the provider deleted before a time."""
    key = tuple_(Record.provider, Record.resource, Record.sourced_id)
    chosen = select(Record.provider, Record.resource, Record.sourced_id)
    chosen = chosen.where(Record.deleted_at < before).limit(BATCH)
    while True:
        with database.write() as session:
            gone = _rows(session.execute(delete(Record).where(key.in_(chosen))))
        yield Counter(records=gone)
        if gone < BATCH:
            return


def count_records(session: Session, before: datetime) -> Counter[str]:
    """Return what `delete_records` would delete."""
    return Counter(records=_count(session, select(Record).where(Record.deleted_at < before)))


def empty_originals(database: Database, before: datetime) -> Batches:
    """Empty the provider's own form of the records that last changed before a time.

    It goes through all records by their key, once.
    """
    key = tuple_(Record.provider, Record.resource, Record.sourced_id)
    old = (Record.changed_at < before, Record.original != {})
    last: tuple[str, ...] = ("", "", "")
    while True:
        some = select(Record.provider, Record.resource, Record.sourced_id)
        some = some.where(key > last, *old).order_by(*key.clauses).limit(BATCH)
        with database.write() as session:
            chosen = [tuple(row) for row in session.execute(some)]
            # Asked again: on PostgreSQL a sync may have written it anew between the two.
            emptied = update(Record).where(key.in_(chosen), *old).values(original={})
            emptied = emptied.execution_options(synchronize_session=False)
            rows = _rows(session.execute(emptied)) if chosen else 0
        yield Counter(originals=rows)
        if len(chosen) < BATCH:
            return
        last = chosen[-1]


def count_originals(session: Session, before: datetime) -> Counter[str]:
    """Return what `empty_originals` would empty."""
    old = select(Record).where(Record.changed_at < before, Record.original != {})
    return Counter(originals=_count(session, old))


def _count(session: Session, query: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _rows(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount
