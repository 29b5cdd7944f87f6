"""The sealer links what was written since its last run into the chain, in one batch.

Any number of sealers may run at once: a seal's number is its primary key, so of two that link to
the same head one comes too late and leaves no trace.
"""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.audit.content import FIRST_HEAD, Range, compact_json, event_content, seal_content
from sisgate.audit.keys import AuditKey, KeyRing
from sisgate.audit.writers import LIFETIME, first_id
from sisgate.clock import Clock
from sisgate.ledger import audit_chain
from sisgate.ledger.audit_chain import SEAL_COLUMNS, events_between, newest_seal, unsealed_writers
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AuditSeal

LOOK_BACK = LIFETIME + timedelta(hours=1)
"""How long before the last seal a writer with unsealed events may have been opened.

Its lifetime, and an hour for long transactions and for clocks that disagree.
"""

LONG_LOOK_BACK = timedelta(days=2)
"""The same when there is time for a thorough search."""

NOTES_KEPT = timedelta(days=30)
"""How long the note of how far a writer is sealed is kept.

Much longer than any look back, so that a sealer whose clock is days ahead forgets no writer that
the next one searches: its events would be sealed twice, and the log broken for good.
"""


def seal(
    database: Database, keys: KeyRing, clock: Clock, *, closely: bool = False
) -> AuditSeal | None:
    """Seal what is new and return the seal; None if nothing is, or another sealer was first.

    `closely` looks further back, and makes a seal even if nothing happened.
    """
    with database.read() as session:
        last = newest_seal(session)
        floor = _floor(last, clock.now(), closely=closely)
        ranges, events, digest = _unsealed(session, keys.newest, floor)
    if not events and not closely:
        return None
    now = clock.now()
    # Times never decrease along the chain, whatever the sealers' clocks say.
    at = max(now, last.at) if last else now
    number, total = (last.number + 1, last.total + events) if last else (1, events)
    fields = (number, at, events, total, compact_json(ranges), digest)
    head = keys.newest.seal_mac(seal_content(fields, last.head if last else FIRST_HEAD))
    new = AuditSeal(**dict(zip(SEAL_COLUMNS, fields, strict=True)), head=head)
    sealed = {writer: last for writer, _, last in ranges}
    forget_before = first_id(at - NOTES_KEPT) if closely else None
    is_first = audit_chain.append(database, new, sealed, forget_before=forget_before)
    return new if is_first else None


def _floor(last: AuditSeal | None, now: datetime, *, closely: bool) -> int:
    """Return the lowest id of a writer that may have unsealed events."""
    if last is None:
        return 0
    # Counted from the last seal, so that nothing is missed however long no sealer ran; from now if
    # the last one's clock was ahead.
    return first_id(min(last.at, now) - (LONG_LOOK_BACK if closely else LOOK_BACK))


def _unsealed(session: Session, key: AuditKey, floor: int) -> tuple[list[Range], int, bytes]:
    """Return the ranges of unsealed events, how many there are, and their digest."""
    digest, count = hashlib.sha256(), 0
    ranges: list[Range] = []
    for writer, sealed in list(unsealed_writers(session, floor)):
        begin = end = 0
        for row in events_between(session, writer, sealed + 1):
            if begin and row.number != end + 1:
                # A gap: events were removed. Seal the rest; verification reports it.
                ranges.append((writer, begin, end))
                begin = 0
            begin, end = begin or row.number, row.number
            # What was written before there was a chain has no MAC of its own.
            digest.update(row.mac or key.event_mac(event_content(row[:-1])))
            count += 1
        if begin:
            ranges.append((writer, begin, end))
    return ranges, count, digest.digest()
