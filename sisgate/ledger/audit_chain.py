"""The chain of the audit log in the ledger: events and seals as they are, not as they should be.

Rows are read without the types of the schema, so that a garbled one can be read, too.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sisgate.ledger import audit_guard
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AuditSeal, AuditWriter
from sisgate.ledger.statements import insert_into


class EventRow(NamedTuple):
    """An event. Its MAC covers all other fields, in this order."""

    writer: Any
    number: Any
    at: Any
    actor: Any
    action: Any
    subject: Any
    reason: Any
    provider: Any
    job_id: Any
    request_id: Any
    detail: Any
    mac: bytes

    @property
    def place(self) -> str:
        """The event as messages name it."""
        return f"{self.writer}/{self.number}"


class SealRow(NamedTuple):
    """A seal. Its head covers all other fields, in this order, and the head before."""

    number: Any
    at: Any
    events: Any
    total: Any
    covers: Any
    digest: Any
    head: bytes


EVENT_COLUMNS = EventRow._fields[:-1]
SEAL_COLUMNS = SealRow._fields[:-1]

_STREAM = {"yield_per": 2000}
_EVENTS = (
    f"SELECT {', '.join(EventRow._fields)} FROM audit_events"  # noqa: S608 - our own column names
    " WHERE writer = :writer AND number BETWEEN :first AND :last ORDER BY number"
)
_SEALS = (
    f"SELECT {', '.join(SealRow._fields)} FROM audit_seals"  # noqa: S608 - the same
    " WHERE number <= :through ORDER BY number"
)
_LARGEST = (1 << 31) - 1
_NEWEST = (1 << 63) - 1


def events_between(
    session: Session, writer: int, first: int, last: int = _LARGEST
) -> Iterator[EventRow]:
    """Stream the events of a writer by number, both ends included."""
    values = {"writer": writer, "first": first, "last": last}
    for *fields, mac in session.execute(text(_EVENTS), values, execution_options=_STREAM):
        yield EventRow._make([*fields, _bytes(mac)])


def seals_through(session: Session, through: int = _NEWEST) -> Iterator[SealRow]:
    """Stream the seals by number, up to and including `through`; by default all of them."""
    values = {"through": through}
    for *fields, head in session.execute(text(_SEALS), values, execution_options=_STREAM):
        yield SealRow._make([*fields, _bytes(head)])


def is_made_with(session: Session, key_id: bytes) -> bool:
    """Return whether an event or a seal names an audit key. Looks through the whole log."""
    queries = (
        "SELECT 1 FROM audit_events WHERE substr(mac, 1, 4) = :key LIMIT 1",
        "SELECT 1 FROM audit_seals WHERE substr(head, 1, 4) = :key LIMIT 1",
    )
    return any(session.execute(text(query), {"key": key_id}).first() for query in queries)


def newest_macs(session: Session) -> list[bytes]:
    """Return the MAC of the newest event and the head of the newest seal, as far as there are."""
    queries = (
        "SELECT mac FROM audit_events ORDER BY at DESC LIMIT 1",
        "SELECT head FROM audit_seals ORDER BY number DESC LIMIT 1",
    )
    found = (session.execute(text(query)).scalar() for query in queries)
    return [_bytes(made) for made in found if made is not None]


def newest_seal(session: Session, before: datetime | None = None) -> AuditSeal | None:
    """Return the end of the chain, or with a time the last seal made before it."""
    query = select(AuditSeal).order_by(AuditSeal.number.desc()).limit(1)
    return session.scalar(query if before is None else query.where(AuditSeal.at < before))


def seal_head(session: Session, number: int) -> bytes | None:
    """Return the head of a seal."""
    return session.scalar(select(AuditSeal.head).where(AuditSeal.number == number))


def append(
    database: Database, seal: AuditSeal, sealed: Mapping[int, int], *, forget_before: int | None
) -> bool:
    """Add a seal to the chain, and note how far it seals each writer; False if another came first.

    What is noted of writers below `forget_before` is deleted.
    """
    values = {column.key: getattr(seal, column.key) for column in AuditSeal.__table__.columns}
    try:
        with database.write() as session:
            session.execute(insert(AuditSeal), [values])
            if sealed:
                notes = insert_into(session, AuditWriter)
                notes = notes.on_conflict_do_update(
                    index_elements=["writer"], set_={"sealed": notes.excluded.sealed}
                )
                session.execute(notes, [{"writer": w, "sealed": n} for w, n in sealed.items()])
            if forget_before is not None:
                session.execute(delete(AuditWriter).where(AuditWriter.writer < forget_before))
    except IntegrityError:
        return False
    return True


def unsealed_writers(session: Session, floor: int) -> Iterator[tuple[int, int]]:
    """Yield each writer from `floor` on that has unsealed events, and how far it is sealed."""
    # One step of the recursion is one look into the key: the events themselves are not read.
    rows = session.execute(
        text("""
        WITH RECURSIVE seen(writer) AS (
            SELECT MIN(writer) FROM audit_events WHERE writer >= :floor
            UNION ALL
            SELECT (SELECT MIN(writer) FROM audit_events e WHERE e.writer > seen.writer)
            FROM seen WHERE seen.writer IS NOT NULL
        )
        SELECT seen.writer,
            (SELECT MAX(number) FROM audit_events e WHERE e.writer = seen.writer) AS last,
            COALESCE((SELECT sealed FROM audit_writers w WHERE w.writer = seen.writer), 0) AS sealed
        FROM seen WHERE seen.writer IS NOT NULL
        """),
        {"floor": floor},
    )
    for writer, last, sealed in rows:
        if last > sealed:
            yield writer, sealed


def sealed_writers(session: Session) -> list[tuple[Any, Any]]:
    """Return how far each writer is noted to be sealed."""
    return [(w, n) for w, n in session.execute(text("SELECT writer, sealed FROM audit_writers"))]


def event_counts(session: Session) -> Iterator[Row[Any, int, Any, Any]]:
    """Stream each writer with its number of events, and the lowest and highest of theirs."""
    query = (
        "SELECT writer, COUNT(*), MIN(number), MAX(number) FROM audit_events"
        " GROUP BY writer ORDER BY writer"
    )
    yield from session.execute(text(query), execution_options=_STREAM)


def covers_through(session: Session, number: int) -> list[str]:
    """Return what the seals up to one cover."""
    return list(session.scalars(select(AuditSeal.covers).where(AuditSeal.number <= number)))


def delete_through(session: Session, last: AuditSeal, ends: Mapping[int, int]) -> None:
    """Delete the seals before `last`, and each writer's events up to its end.

    The triggers are taken off within the transaction.
    """
    dialect = session.get_bind().dialect.name
    audit_guard.take_off(lambda statement: session.execute(text(statement)), dialect)
    events = text("DELETE FROM audit_events WHERE writer = :writer AND number <= :end")
    for writer, end in ends.items():
        session.execute(events, {"writer": writer, "end": end})
    session.execute(delete(AuditSeal).where(AuditSeal.number < last.number))
    audit_guard.put_on(lambda statement: session.execute(text(statement)), dialect)


def read_garbled_text(session: Session) -> None:
    """Let this transaction read texts that are not UTF-8: SQLite keeps any bytes as text."""
    connection = session.connection().connection.driver_connection
    if isinstance(connection, sqlite3.Connection):
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")


def _bytes(value: Any) -> bytes:
    # SQLite keeps any type in any column; what is not bytes is no MAC of ours.
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
