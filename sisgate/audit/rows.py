"""Events and seals as they are in the database, not as they should be.

Read without the types of the schema, so that a row that somebody has garbled can be read too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from sisgate.audit.content import EVENT_COLUMNS, SEAL_COLUMNS
from sisgate.audit.keys import ID_BYTES as KEY_ID_BYTES

_STREAM = {"yield_per": 2000}
_EVENTS = (
    f"SELECT {', '.join(EVENT_COLUMNS)}, mac FROM audit_events"  # noqa: S608 - our own column names
    " WHERE writer = :writer AND number BETWEEN :first AND :last ORDER BY number"
)
_SEALS = (
    f"SELECT {', '.join(SEAL_COLUMNS)}, head FROM audit_seals"  # noqa: S608 - the same
    " WHERE number <= :through ORDER BY number"
)
_LARGEST = (1 << 31) - 1
_NEWEST = (1 << 63) - 1


class EventRow(NamedTuple):
    """An event: the fields that its MAC covers, and the MAC."""

    fields: tuple[Any, ...]
    mac: bytes

    @property
    def number(self) -> int:
        """Its number among the events of its writer."""
        number: int = self.fields[1]
        return number


class SealRow(NamedTuple):
    """A seal: the fields that its head covers, and the head."""

    fields: tuple[Any, ...]
    head: bytes


def events_between(
    session: Session, writer: int, first: int, last: int = _LARGEST
) -> Iterator[EventRow]:
    """Stream the events of a writer by number, both ends included."""
    words = {"writer": writer, "first": first, "last": last}
    for row in session.execute(text(_EVENTS), words, execution_options=_STREAM):
        yield EventRow(tuple(row[:-1]), _bytes(row[-1]))


def seals_through(session: Session, through: int = _NEWEST) -> Iterator[SealRow]:
    """Stream the seals by number, `through` included; all of them by default."""
    for row in session.execute(text(_SEALS), {"through": through}, execution_options=_STREAM):
        yield SealRow(tuple(row[:-1]), _bytes(row[-1]))


def is_made_with(session: Session, key_id: bytes) -> bool:
    """Return whether an event or a seal names an audit key. Looks through the whole log."""
    queries = (
        "SELECT 1 FROM audit_events WHERE substr(mac, 1, 4) = :key LIMIT 1",
        "SELECT 1 FROM audit_seals WHERE substr(head, 1, 4) = :key LIMIT 1",
    )
    return any(session.execute(text(query), {"key": key_id}).first() for query in queries)


def newest_key_ids(session: Session) -> set[str]:
    """Return the ids, in hex, of the audit keys that made the newest event and the newest seal."""
    queries = (
        "SELECT mac FROM audit_events ORDER BY at DESC LIMIT 1",
        "SELECT head FROM audit_seals ORDER BY number DESC LIMIT 1",
    )
    found = (session.execute(text(query)).scalar() for query in queries)
    return {_bytes(made)[:KEY_ID_BYTES].hex() for made in found if made is not None}


def _bytes(value: Any) -> bytes:
    # SQLite keeps any type in any column; what is not bytes is no MAC of ours.
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
