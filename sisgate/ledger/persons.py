"""Where a person may be in the ledger: searches of records, jobs and whole tables, and erasing."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    String,
    Table,
    Text,
    and_,
    cast,
    func,
    or_,
    select,
    update,
)
from sqlalchemy import Row as SqlRow
from sqlalchemy.orm import Session

from sisgate.clock import Clock, poll_until
from sisgate.domain.records import Row
from sisgate.ledger import sightings
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Base, Call, Change, Job, Record, Response
from sisgate.ledger.statements import change

CHUNK = 500

COMPACT_SECONDS = 10.0
"""How long overwriting freed space is tried again while others write the file's log back."""

TABLES: Sequence[Table] = Base.metadata.sorted_tables
"""All tables of the ledger."""


def records_of(
    session: Session, provider: str, sourced_id: str, resources: Sequence[str]
) -> Sequence[Record]:
    """Return the records of this id in some datasets, and the enrollments that name it as user."""
    user = Record.data["user"]
    by_id = Record.resource.in_(resources) & (Record.sourced_id == sourced_id)
    by_user = (Record.resource == "enrollments") & or_(
        user["sourcedId"].as_string() == sourced_id, user.as_string() == sourced_id
    )
    return session.scalars(select(Record).where(Record.provider == provider, by_id | by_user)).all()


def records_containing(
    session: Session, provider: str, words: str
) -> Iterator[SqlRow[str, str, dict[str, Any], dict[str, Any]]]:
    """Stream resource, id, data and original of a provider's records that contain a text."""
    is_in = _contains(Record.data, words) | _contains(Record.original, words)
    query = select(Record.resource, Record.sourced_id, Record.data, Record.original)
    query = query.where(Record.provider == provider, is_in)
    yield from session.execute(query.execution_options(yield_per=CHUNK))


def rows_containing(
    session: Session, table: Table, any_of: Sequence[Sequence[str]]
) -> Iterator[dict[str, Any]]:
    """Stream the text and JSON columns of rows in one of which all texts of a group stand."""
    columns = [c for c in table.columns if isinstance(c.type, String | Text | JSON)]
    hits = [
        and_(*(_contains(column, words) for words in group))
        for column in columns
        for group in any_of
    ]
    if not hits:
        return
    query = select(*columns).where(or_(*hits)).execution_options(yield_per=CHUNK)
    for row in session.execute(query).mappings():
        yield dict(row)


def jobs_with_parts(session: Session, provider: str) -> Iterator[tuple[Base, Job]]:
    """Stream a provider's jobs, then their calls, then their responses, each with its job."""
    jobs = select(Job).where(Job.provider == provider).execution_options(yield_per=CHUNK)
    for job in session.scalars(jobs):
        yield job, job
    parts: tuple[type[Call | Response], ...] = (Call, Response)
    for part in parts:
        query = select(part, Job).join(Job, Job.id == part.job_id).where(Job.provider == provider)
        for row, job in session.execute(query.execution_options(yield_per=CHUNK)):
            yield row, job


def rewrite(session: Session, provider: str, resource: str, row: Row, now: datetime) -> None:
    """Replace what is stored of a record."""
    record = update(Record).where(
        Record.provider == provider,
        Record.resource == resource,
        Record.sourced_id == row.sourced_id,
    )
    values = {
        "data": dict(row.data),
        "original": dict(row.original),
        "content_hash": row.content_hash,
        "changed_at": now,
    }
    change(session, record.values(values))
    sightings.disturb(session, provider, resource, [row.sourced_id])


def remove(session: Session, record: Record) -> None:
    """Delete a record itself. Its dataset must be locked."""
    if record.sighting_id is not None:
        sightings.leave(session, {record.sighting_id: 1})
    session.delete(record)


def changes_of(
    session: Session, provider: str, resource: str, sourced_id: str
) -> list[tuple[int, str]]:
    """Return number and operation of each change of a record, in order."""
    query = select(Change.sequence, Change.operation).order_by(Change.sequence)
    found = session.execute(query.where(*_changes(provider, resource, sourced_id)))
    return [(number, operation) for number, operation in found]


def anonymise_changes(session: Session, record: Record, pseudonym: str) -> int:
    """Leave the numbers of a record's changes, as deletions of nobody in particular; count them."""
    theirs = _changes(record.provider, record.resource, record.sourced_id)
    anonymous = {"sourced_id": pseudonym, "operation": "delete"}
    return change(session, update(Change).where(*theirs).values(anonymous))


def compact(database: Database, clock: Clock) -> bool | None:
    """Overwrite what was freed in a SQLite file; return whether that could be done now.

    Waits some seconds for others that use the file.

    None on PostgreSQL, whose VACUUM does it in its own time.
    """
    if not database.is_sqlite:
        return None
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        # VACUUM writes the file anew, without what is deleted; then the log is truncated.
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.execute("VACUUM")

        def truncated() -> bool:
            # Against another checkpoint, SQLite does not wait by itself.
            return not cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

        return poll_until(truncated, clock=clock, timeout_seconds=COMPACT_SECONDS)
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()


def _contains(column: Any, words: str) -> ColumnElement[bool]:
    # As it is written in JSON, where a quotation mark is escaped; a plain text rarely has one.
    written = json.dumps(words, ensure_ascii=False)[1:-1].lower()
    return func.lower(cast(column, Text)).contains(written, autoescape=True)


def _changes(provider: str, resource: str, sourced_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        Change.provider == provider,
        Change.resource == resource,
        Change.sourced_id == sourced_id,
    )
