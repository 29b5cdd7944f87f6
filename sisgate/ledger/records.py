"""Records and their change feed: writing a page, streaming both.

A page is written in a handful of statements whatever its size. The dataset's row is locked
first, so that changes are numbered in the order in which they become visible: a reader who has
seen number n will never later find a lower one (the sequence has no gaps to readers).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row as SqlRow
from sqlalchemy import RowMapping, case, func, select
from sqlalchemy.orm import Session

from sisgate.domain.records import Row
from sisgate.domain.stored_records import StoredChange, StoredRecord
from sisgate.ledger import datasets, deletions, page_statements, sightings, variants
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Change, Dataset, Record

STREAM_CHUNK = 1000
"""Rows fetched at a time when a dataset or a feed is streamed."""


_READ = ("provider", "resource", "sourced_id", "data", "first_seen", "changed_at", "deleted_at")


@dataclass(frozen=True)
class Tally:
    """What a write did to a dataset. `marked` are live records that are said to be gone.

    `sightings` hold exactly the records of the page; None where that cannot be said.
    """

    inserted: int = 0
    updated: int = 0
    marked: int = 0
    unchanged: int = 0
    sightings: frozenset[int] | None = field(default=None, compare=False)


def is_live(session: Session, dataset: Dataset, sourced_id: str, generation: int = 0) -> bool:
    """Return whether a record is not deleted, and was seen by a generation or a later one."""
    query = select(~sightings.is_unseen(dataset, generation)).where(
        Record.provider == dataset.provider,
        Record.resource == dataset.resource,
        Record.sourced_id == sourced_id,
        Record.deleted_at.is_(None),
    )
    return bool(session.scalar(query))


def write_page(
    session: Session,
    dataset: Dataset,
    rows: Sequence[Row],
    *,
    job_id: str,
    generation: int,
    now: datetime,
    since: datetime | None = None,
) -> Tally:
    """Write one page of rows and the changes it makes. The dataset must be locked.

    A row that came before with the same content is only noted as seen, see `sightings`. What the
    provider marks `tobedeleted` is only noted, unless the record was seen alive since this read
    began at `since`: the end of the sync decides, see `deletions`. Several rows of one id in one
    read are merged: see `variants`.
    """
    if partial := [row.sourced_id for row in rows if row.untold]:
        stored = page_statements.stored_data(session, dataset, partial)
        rows = [row.completed(stored.get(row.sourced_id, {})) for row in rows]
    known = page_statements.known(session, dataset, list({row.sourced_id for row in rows}))
    page = variants.of_page(session, dataset, rows, known, since)
    inserts, updates, marked = [], [], []
    same = list(page.settled)
    for row in page.rows:
        before = known.get(row.sourced_id)
        if row.is_deleted:
            # Of rows of one id in one read, the one that is alive holds, whichever came first.
            is_live = before is not None and before.deleted_at is None
            was_seen = since is not None and before is not None and before.last_seen >= since
            if is_live and not was_seen:
                marked.append(row)
        elif before is None or before.deleted_at is not None:
            inserts.append(row)
        elif before.content_hash != row.content_hash:
            updates.append(row)
        else:
            same.append(row.sourced_id)
    written = [*inserts, *updates]
    seen = sightings.see(
        session,
        dataset,
        list(dict.fromkeys(_ids(rows))),
        known,
        unchanged=same,
        written=_ids(written),
        generation=generation,
        now=now,
        since=since,
    )
    are_new = known.keys().isdisjoint(row.sourced_id for row in written)
    page_statements.upsert(session, dataset, written, seen, generation, now, are_new=are_new)
    page.save(session, dataset, generation)
    deletions.unmark(session, dataset, job_id, [*_ids(inserts), *_ids(updates), *same])
    deletions.mark(session, job_id, _ids(marked))
    for operation, changed in (("insert", inserts), ("update", updates)):
        page_statements.add_changes(
            session, dataset, operation, _ids(changed), job_id=job_id, now=now
        )
    is_plain = not page.is_of_variants and seen.keys() == {row.sourced_id for row in rows}
    together = frozenset(seen.values()) if is_plain else None
    return Tally(len(inserts), len(updates), len(marked), len(same), together)


def _ids(rows: Sequence[Row]) -> list[str]:
    return [row.sourced_id for row in rows]


def count_live(session: Session, provider: str, resource: str) -> int:
    """Return how many records of a dataset are not deleted."""
    here = (Record.provider == provider, Record.resource == resource)
    query = select(func.count()).select_from(Record).where(*here, Record.deleted_at.is_(None))
    return session.scalar(query) or 0


def find(
    session: Session,
    provider: str,
    resource: str,
    *,
    start: str = "",
    include_deleted: bool = False,
    limit: int,
) -> Sequence[RecordRow]:
    """Return records from an id on, in order of sourcedId, without their data."""
    query = _rows(provider, resource).where(Record.sourced_id >= start)
    if not include_deleted:
        query = query.where(Record.deleted_at.is_(None))
    return session.execute(query.order_by(Record.sourced_id).limit(limit)).all()


def row_of(session: Session, provider: str, resource: str, sourced_id: str) -> RecordRow | None:
    """Return a record without its data; None if there is none of that id."""
    return session.execute(
        _rows(provider, resource).where(Record.sourced_id == sourced_id)
    ).one_or_none()


RecordRow = SqlRow[str, bytes, datetime, datetime, datetime, datetime | None]
"""Id, content hash, when it was first seen, last seen, changed, and deleted."""


def _rows(provider: str, resource: str) -> Any:
    columns = (
        Record.sourced_id, Record.content_hash, Record.first_seen,
        sightings.seen_at().label("last_seen"), Record.changed_at, Record.deleted_at,
    )  # fmt: skip
    return select(*columns).where(Record.provider == provider, Record.resource == resource)


def of_ids(
    session: Session, provider: str, resource: str, ids: Sequence[str]
) -> Sequence[StoredRecord]:
    """Return those of some records that there are, in order of sourcedId."""
    columns = [getattr(Record, name) for name in _READ]
    query = select(*columns, sightings.seen_at().label("last_seen")).where(
        Record.provider == provider, Record.resource == resource, Record.sourced_id.in_(ids)
    )
    rows = session.execute(query.order_by(Record.sourced_id)).mappings()
    return [StoredRecord(**row) for row in rows]


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
    columns = [getattr(Record, name) for name in _READ]
    columns.append(sightings.seen_at().label("last_seen"))
    if include_original:
        columns.append(Record.original)
    while True:
        query = (
            select(*columns)
            .where(
                Record.provider == provider, Record.resource == resource, Record.sourced_id > after
            )
            .order_by(Record.sourced_id)
            .limit(STREAM_CHUNK)
        )
        if not include_deleted:
            query = query.where(Record.deleted_at.is_(None))
        with database.read() as session:
            chunk = list(session.execute(query).mappings())
        is_last = len(chunk) < STREAM_CHUNK
        for row in _taken(chunk):
            yield StoredRecord(**row)
            after = row["sourced_id"]
        if is_last:
            return


def _taken(rows: list[RowMapping]) -> Iterator[RowMapping]:
    """Yield rows and let go of each: a reader that pauses keeps only those that it has not had."""
    rows.reverse()
    while rows:
        yield rows.pop()


def stream_changes(
    database: Database, provider: str, resource: str, *, since: int = 0
) -> Iterator[StoredChange]:
    """Yield the changes numbered above `since`, in order, and end at the newest.

    `CursorTooOld` where some of them have been deleted after their time, `CursorAhead` where
    `since` is above the newest.
    """
    names = ("provider", "resource", "sequence", "operation", "sourced_id", "changed_at")
    data = case((Record.deleted_at.is_(None), Record.data), else_=None).label("data")
    columns = [*(getattr(Change, name) for name in names), data]
    while True:
        query = (
            select(*columns)
            .outerjoin(
                Record,
                (Record.provider == Change.provider)
                & (Record.resource == Change.resource)
                & (Record.sourced_id == Change.sourced_id),
            )
            .where(
                Change.provider == provider, Change.resource == resource, Change.sequence > since
            )
            .order_by(Change.sequence)
            .limit(STREAM_CHUNK)
        )
        with database.read() as session:
            chunk = list(session.execute(query).mappings())
            # After reading the changes, so that earlier deletions are known.
            datasets.refuse_cursor(session, provider, resource, since)
        is_last = len(chunk) < STREAM_CHUNK
        for row in _taken(chunk):
            yield StoredChange(**row)
            since = row["sequence"]
        if is_last:
            return
