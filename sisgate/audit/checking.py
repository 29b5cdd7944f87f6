"""Verification of the log in the database: reads it in blocks, in constant memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from sisgate.audit.heads import Broken, Head
from sisgate.audit.keys import KeyRing
from sisgate.audit.ranges import Range, ranges_of, size_of
from sisgate.audit.rows import EventRow, SealRow, events_between, seals_through
from sisgate.audit.unaccounted import unaccounted
from sisgate.audit.verdict import Kind, Verdict
from sisgate.audit.verification import Verification

BLOCK_EVENTS = 20_000
BLOCK_SEALS = 2_000

Progress = Callable[[int], None]
"""Told how many events have been checked."""


def verify(
    session: Session,
    keys: KeyRing,
    heads: Iterable[Head | Broken] = (),
    progress: Progress = lambda _: None,
    *,
    now: datetime,
) -> Verdict:
    """Verify the whole log as this session sees it.

    `heads` are those that were kept outside before the session began: with a later one the log
    would look as if its end had been cut off.
    """
    _read_garbled_text(session)
    verification = Verification(keys, heads, now)
    for block in _blocks(seals_through(session)):
        events = _events_of_block(session, block)
        for seal, ranges in block:
            verification.seal(seal, _events_of(session, ranges, events))
            progress(verification.verdict.events)
    _check_rest(session, verification)
    for writer, sealed in session.execute(text("SELECT writer, sealed FROM audit_writers")):
        verification.noted(writer, sealed)
    verdict = verification.end()
    for place, what in unaccounted(session, verification.complete_since):
        verdict.add(Kind.NO_EVENT, place, what)
    return verdict


_Block = list[tuple[SealRow, list[Range]]]


def _blocks(seals: Iterator[SealRow]) -> Iterator[_Block]:
    block: _Block = []
    events = 0
    for seal in seals:
        ranges = _plausible_ranges(seal)
        size = size_of(ranges)
        if block and (events + size > BLOCK_EVENTS or len(block) >= BLOCK_SEALS):
            yield block
            block, events = [], 0
        block.append((seal, ranges))
        events += size
    if block:
        yield block


def _plausible_ranges(seal: SealRow) -> list[Range]:
    # What somebody has written into a seal must not make us read for ever.
    try:
        ranges = ranges_of(seal.fields[4])
    except (TypeError, ValueError, OverflowError):
        return []
    return ranges if size_of(ranges) == seal.fields[2] else []


_Events = dict[tuple[int, int], EventRow]


def _events_of_block(session: Session, block: _Block) -> _Events | None:
    """Read a block's events with one query for each writer; None where it is one large seal."""
    spans: dict[int, tuple[int, int]] = {}
    for _, ranges in block:
        for writer, first, last in ranges:
            low, high = spans.get(writer, (first, last))
            spans[writer] = (min(low, first), max(high, last))
    if sum(high - low + 1 for low, high in spans.values()) > 2 * BLOCK_EVENTS:
        return None
    return {
        (writer, row.number): row
        for writer, (low, high) in spans.items()
        for row in events_between(session, writer, low, high)
    }


def _events_of(session: Session, ranges: list[Range], events: _Events | None) -> Iterator[EventRow]:
    for writer, first, last in ranges:
        if events is None:
            yield from events_between(session, writer, first, last)
            continue
        for number in range(first, last + 1):
            row = events.get((writer, number))
            if row is not None:
                yield row


def _check_rest(session: Session, verification: Verification) -> None:
    """Check the events that no seal covers: those to be sealed next, and those put there."""
    counts = session.execute(
        text(
            "SELECT writer, COUNT(*), MIN(number), MAX(number) FROM audit_events"
            " GROUP BY writer ORDER BY writer"
        ),
        execution_options={"yield_per": 2000},
    )
    for writer, count, low, high in counts:
        covered = verification.covered.get(writer)
        last = covered.last if covered else 0
        tail = 0
        if not isinstance(high, int) or high > last:
            before = verification.verdict.unsealed
            verification.tail(writer, events_between(session, writer, last + 1))
            tail = verification.verdict.unsealed - before
        if count - tail != (covered.present if covered else 0):
            verification.stray(f"{writer}/{low}")


def _read_garbled_text(session: Session) -> None:
    # SQLite keeps any bytes as text; what is not UTF-8 must be read to be told.
    connection = session.connection().connection.driver_connection
    if isinstance(connection, sqlite3.Connection):
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
