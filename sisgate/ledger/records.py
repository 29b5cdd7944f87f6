"""Records and their change feed: writing a page, deleting what is gone, streaming both.

A page is written in a handful of statements whatever its size. The dataset's row is locked
first, so that changes are numbered in the order in which they become visible: a reader who has
seen number n will never later find a lower one (the sequence has no gaps to readers).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, literal, select, update
from sqlalchemy.orm import Session

from sisgate.domain.records import Row
from sisgate.errors import CursorTooOld
from sisgate.ledger import page_statements
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Change, Dataset, Record
from sisgate.ledger.upserts import lock_or_make

STREAM_CHUNK = 1000
"""Rows fetched at a time when a dataset or a feed is streamed."""


@dataclass(frozen=True)
class Tally:
    """What a write did to a dataset."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0


@dataclass(frozen=True)
class StoredRecord:
    """A record as apps read it."""

    provider: str
    resource: str
    sourced_id: str
    data: Mapping[str, Any]
    first_seen: datetime
    last_seen: datetime
    changed_at: datetime
    deleted_at: datetime | None
    original: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StoredChange:
    """A change as apps read it. `data` is the record as it is now, None once it is deleted."""

    provider: str
    resource: str
    sequence: int
    operation: str
    sourced_id: str
    changed_at: datetime
    data: Mapping[str, Any] | None


def lock_dataset(session: Session, provider: str, resource: str) -> Dataset:
    """Return the dataset with its row locked until the transaction ends, made if need be."""
    return lock_or_make(session, Dataset, provider=provider, resource=resource)


def write_page(
    session: Session,
    dataset: Dataset,
    rows: Sequence[Row],
    *,
    job_id: str,
    generation: int,
    now: datetime,
) -> Tally:
    """Write one page of rows and the changes it makes. The dataset must be locked.

    A row that came before with the same content only gets `last_seen`; one that the provider
    marks `tobedeleted` is deleted. A row named twice in the page counts once, the last one.
    """
    latest = {row.sourced_id: row for row in rows}
    known = page_statements.known(session, dataset, list(latest))
    inserts, updates, deletes, same = [], [], [], []
    for row in latest.values():
        before = known.get(row.sourced_id)
        if row.is_deleted:
            if before is not None and before.deleted_at is None:
                deletes.append(row)
        elif before is None or before.deleted_at is not None:
            inserts.append(row)
        elif before.content_hash != row.content_hash:
            updates.append(row)
        else:
            same.append(row.sourced_id)
    page_statements.upsert(session, dataset, [*inserts, *updates], generation, now)
    page_statements.touch(session, dataset, same, generation, now)
    page_statements.mark_deleted(session, dataset, _ids(deletes), now)
    for operation, changed in (("insert", inserts), ("update", updates), ("delete", deletes)):
        page_statements.add_changes(
            session, dataset, operation, _ids(changed), job_id=job_id, now=now
        )
    return Tally(len(inserts), len(updates), len(deletes), len(same))


def _ids(rows: Sequence[Row]) -> list[str]:
    return [row.sourced_id for row in rows]


def count_live(session: Session, provider: str, resource: str) -> int:
    """Return how many records of a dataset are not deleted."""
    return _count(session, *_live(provider, resource))


def count_seen(session: Session, dataset: Dataset, generation: int) -> int:
    """Return how many records the full sync of a generation has seen so far."""
    return _count(
        session,
        Record.provider == dataset.provider,
        Record.resource == dataset.resource,
        Record.generation >= generation,
    )


def count_missing(session: Session, dataset: Dataset, generation: int) -> int:
    """Return how many live records the full sync of a generation has not seen."""
    live = _live(dataset.provider, dataset.resource)
    return _count(session, *live, Record.generation < generation)


def _count(session: Session, *conditions: Any) -> int:
    return session.scalar(select(func.count()).select_from(Record).where(*conditions)) or 0


def _live(provider: str, resource: str) -> tuple[Any, ...]:
    return (Record.provider == provider, Record.resource == resource, Record.deleted_at.is_(None))


def delete_missing(
    session: Session, dataset: Dataset, generation: int, *, job_id: str, now: datetime
) -> int:
    """Mark every live record that the generation has not seen as deleted; return how many.

    The caller has proof that the sync was complete. The dataset must be locked.
    """
    missing = select(
        literal(dataset.provider),
        literal(dataset.resource),
        dataset.last_sequence + func.row_number().over(order_by=Record.sourced_id),
        literal("delete"),
        Record.sourced_id,
        literal(job_id),
        literal(now, Change.changed_at.type),
    ).where(*_live(dataset.provider, dataset.resource), Record.generation < generation)
    columns = [
        "provider",
        "resource",
        "sequence",
        "operation",
        "sourced_id",
        "job_id",
        "changed_at",
    ]
    session.execute(insert(Change).from_select(columns, missing))
    deleted = session.execute(
        update(Record)
        .where(*_live(dataset.provider, dataset.resource), Record.generation < generation)
        .values(deleted_at=now, changed_at=now)
        .execution_options(synchronize_session=False)
    )
    count: int = deleted.rowcount  # type: ignore[attr-defined]  # an UPDATE gives a CursorResult
    dataset.last_sequence += count
    session.flush()
    return count


def stream_records(
    database: Database,
    provider: str,
    resource: str,
    *,
    include_deleted: bool = False,
    include_original: bool = False,
) -> Iterator[StoredRecord]:
    """Yield a dataset's records in order of sourcedId, a chunk of memory at a time."""
    after = ""
    columns = [c for c in Record.__table__.columns if c.key not in {"content_hash", "generation"}]
    if not include_original:
        columns = [c for c in columns if c.key != "original"]
    while True:
        query = (
            select(*columns)
            .where(
                Record.provider == provider,
                Record.resource == resource,
                Record.sourced_id > after,
            )
            .order_by(Record.sourced_id)
            .limit(STREAM_CHUNK)
        )
        if not include_deleted:
            query = query.where(Record.deleted_at.is_(None))
        with database.read() as session:
            chunk = session.execute(query).mappings().all()
        for row in chunk:
            yield StoredRecord(**row)
        if len(chunk) < STREAM_CHUNK:
            return
        after = chunk[-1]["sourced_id"]


def stream_changes(
    database: Database, provider: str, resource: str, *, since: int = 0
) -> Iterator[StoredChange]:
    """Yield the changes numbered above `since`, in order, and end at the newest.

    `CursorTooOld` where some of them have been deleted after their time.
    """
    while True:
        query = (
            select(
                Change.provider,
                Change.resource,
                Change.sequence,
                Change.operation,
                Change.sourced_id,
                Change.changed_at,
                Record.data,
                Record.deleted_at,
            )
            .outerjoin(
                Record,
                (Record.provider == Change.provider)
                & (Record.resource == Change.resource)
                & (Record.sourced_id == Change.sourced_id),
            )
            .where(
                Change.provider == provider,
                Change.resource == resource,
                Change.sequence > since,
            )
            .order_by(Change.sequence)
            .limit(STREAM_CHUNK)
        )
        with database.read() as session:
            chunk = session.execute(query).all()
            # After the look at the changes: what was deleted before it is known by now.
            _refuse_below_horizon(session, provider, resource, since)
        for row in chunk:
            yield StoredChange(
                provider=row.provider,
                resource=row.resource,
                sequence=row.sequence,
                operation=row.operation,
                sourced_id=row.sourced_id,
                changed_at=row.changed_at,
                data=row.data if row.deleted_at is None else None,
            )
        if len(chunk) < STREAM_CHUNK:
            return
        since = chunk[-1].sequence


def newest_change(session: Session, provider: str, resource: str) -> int:
    """Return the number of a dataset's newest change, 0 where there is none."""
    dataset = session.get(Dataset, (provider, resource))
    return dataset.last_sequence if dataset is not None else 0


def _refuse_below_horizon(session: Session, provider: str, resource: str, since: int) -> None:
    dataset = session.get(Dataset, (provider, resource))
    if dataset is None or since >= dataset.change_horizon:
        return
    raise CursorTooOld(
        f"The changes of {provider} {resource} up to number {dataset.change_horizon} were deleted "
        f"after their time (retention.changes), so a reader at {since} would miss some. Note the "
        f"newest number, which is {dataset.last_sequence} now, read the records anew, and go on "
        "with the changes since that number.",
        provider=provider,
        resource=resource,
        cursor=since,
        horizon=dataset.change_horizon,
        newest=dataset.last_sequence,
    )
