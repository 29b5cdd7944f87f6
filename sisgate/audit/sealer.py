"""The sealer links what was written since its last time into the chain, in one batch.

Any number of sealers may run at once: a seal's number is its primary key, so of two that link to
the same head one comes too late and leaves no trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.audit.content import Range, compact_json, event_content, seal_content
from sisgate.audit.keys import AuditKey, KeyRing
from sisgate.audit.writers import LIFETIME, first_id
from sisgate.clock import Clock
from sisgate.ledger import audit_chain
from sisgate.ledger.audit_chain import events_between, newest_seal, unsealed_writers
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AuditSeal

LOOK_BACK = LIFETIME + timedelta(hours=1)
"""How long before the last seal a writer may have been opened that has written since.

Its lifetime, and an hour for long transactions and for clocks that disagree.
"""

LONG_LOOK_BACK = timedelta(days=2)
"""The same when there is time to look closely."""

NOTES_KEPT = timedelta(days=30)
"""How long it is noted how far a writer is sealed.

Much longer than any look back, so that a sealer whose clock is days ahead forgets no writer that
the next one looks at: its events would be sealed twice, and the log be broken for ever.
"""

FIRST_HEAD = b""
"""What the first seal is linked to."""


@dataclass(frozen=True)
class _Found:
    ranges: Sequence[Range]
    events: int
    digest: bytes


def seal(
    database: Database, keys: KeyRing, clock: Clock, *, closely: bool = False
) -> AuditSeal | None:
    """Seal what is new and return the seal; None where nothing is, or another sealer was first.

    `closely` looks further back, and makes a seal also when nothing happened.
    """
    with database.read() as session:
        last = newest_seal(session)
        floor = _floor(last, clock.now(), closely=closely)
        found = _unsealed(session, keys.newest, floor)
    if not found.events and not closely:
        return None
    made = _linked(keys.newest, last, found, clock.now())
    sealed = {writer: last for writer, _, last in found.ranges}
    forget_before = first_id(made.at - NOTES_KEPT) if closely else None
    is_first = audit_chain.append(database, made, sealed, forget_before=forget_before)
    return made if is_first else None


def _linked(key: AuditKey, last: AuditSeal | None, found: _Found, now: datetime) -> AuditSeal:
    number = last.number + 1 if last else 1
    # Time never goes back along the chain, whatever the clocks of the sealers say.
    at = max(now, last.at) if last else now
    total = (last.total if last else 0) + found.events
    covers = compact_json(found.ranges)
    fields = (number, at, found.events, total, covers, found.digest)
    head = key.seal_mac(seal_content(fields, last.head if last else FIRST_HEAD))
    return AuditSeal(
        number=number, at=at, events=found.events, total=total, covers=covers,
        digest=found.digest, head=head,
    )  # fmt: skip


def _floor(last: AuditSeal | None, now: datetime, *, closely: bool) -> int:
    """Return the lowest id of a writer that may have unsealed events."""
    if last is None:
        return 0
    # Counted from the last seal, so that nothing is passed over however long no sealer ran; from
    # now where the last one's clock was ahead.
    return first_id(min(last.at, now) - (LONG_LOOK_BACK if closely else LOOK_BACK))


def _unsealed(session: Session, key: AuditKey, floor: int) -> _Found:
    digest, count = hashlib.sha256(), 0
    ranges: list[Range] = []
    for writer, sealed in list(unsealed_writers(session, floor)):
        begin = end = 0
        for row in events_between(session, writer, sealed + 1):
            if begin and row.number != end + 1:
                # A gap: somebody took events away. What is left is sealed; verification tells.
                ranges.append((writer, begin, end))
                begin = 0
            begin, end = begin or row.number, row.number
            # What was written before there was a chain has no MAC of its own.
            digest.update(row.mac or key.event_mac(event_content(row.fields)))
            count += 1
        if begin:
            ranges.append((writer, begin, end))
    return _Found(ranges, count, digest.digest())
