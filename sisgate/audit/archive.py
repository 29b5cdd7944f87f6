"""Archiving: the oldest part of the log moves into a file, and the chain goes on without it.

The last archived seal stays in the database without its events, and an event records its number and
head; so verification begins there and knows why. The file is a log of its own.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from sqlalchemy.orm import Session

from sisgate.audit import export, sealer, verification
from sisgate.audit.chain import ARCHIVED
from sisgate.audit.content import FIRST_HEAD, ranges_of
from sisgate.audit.keys import KeyRing
from sisgate.audit.log import record
from sisgate.clock import Clock
from sisgate.errors import AuditError
from sisgate.ledger.audit_chain import (
    covers_through,
    delete_through,
    newest_seal,
    seal_head,
    seals_through,
)
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AuditSeal


@dataclass(frozen=True)
class Segment:
    """The part of the log to archive: everything sealed before `before` (aware)."""

    before: datetime


@dataclass(frozen=True)
class Archived:
    """What was archived: up to which seal, its head, how many events, and the file's SHA-256.

    `before` is the head of the seal before that one, with which the seal that stays can be checked.
    """

    path: Path
    through: int
    head: str
    before: str
    events: int
    sha256: str


def archive(
    database: Database,
    keys: KeyRing,
    clock: Clock,
    segment: Segment,
    path: Path,
    *,
    actor: str,
    reason: str | None = None,
) -> Archived:
    """Write the segment to a new file, verify the log, then delete the segment from the database.

    On PostgreSQL the user must own the tables, because the triggers are dropped within the
    transaction. Raises `AuditError` if there is nothing to archive, the log is not whole, or the
    file exists.
    """
    sealer.seal(database, keys, clock)
    with database.snapshot() as session:
        result = verification.verify(session, keys, now=clock.now())
        if not result.is_whole:
            raise AuditError(
                "The audit log is not whole, so nothing is archived. `sisgate audit verify` shows "
                "what is wrong."
            )
        last = newest_seal(session, segment.before)
        if last is None or last.number == result.first_seal != 1:
            raise AuditError(f"Nothing was sealed before {segment.before.isoformat()}.")
        before = seal_head(session, last.number - 1)
        events, digest = _write(session, keys, last, path)
    linked_to = (before or FIRST_HEAD).hex()
    archived = Archived(path, last.number, last.head.hex(), linked_to, events, digest)
    with database.write() as session:
        _delete(session, last)
        record(
            session, clock.now(), actor=actor, action=ARCHIVED, subject=path.name, reason=reason,
            through=last.number, head=archived.head, before=linked_to, events=events,
            sha256=digest,
        )  # fmt: skip
    return archived


def _write(session: Session, keys: KeyRing, last: AuditSeal, path: Path) -> tuple[int, str]:
    digest, events = hashlib.sha256(), 0
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise AuditError(f"The archive {path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        segments = (export.segment(session, seal) for seal in seals_through(session, last.number))
        for line in export.ended(chain.from_iterable(segments), last, keys):
            events += line.startswith('{"event"')
            raw = f"{line}\n".encode()
            digest.update(raw)
            file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    return events, digest.hexdigest()


def _delete(session: Session, last: AuditSeal) -> None:
    ends: dict[int, int] = {}
    for covers in covers_through(session, last.number):
        for writer, _, end in ranges_of(covers):
            ends[writer] = max(end, ends.get(writer, 0))
    delete_through(session, last, ends)
