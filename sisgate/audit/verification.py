"""Verification of the log in the database, and of the rows that it should account for.

The log is read in blocks, in constant memory. Then the tables are searched for rows that no event
explains: whoever can write to them can add a job, a key or a token, or raise a limit, but only with
the audit key can an event be made for it. Rows older than a log whose beginning was archived are
left out.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sisgate.audit.chain import ChainVerifier
from sisgate.audit.content import Range, ranges_of, size_of
from sisgate.audit.events import JOB_REFUSED
from sisgate.audit.findings import IssueKind, VerificationResult
from sisgate.audit.heads import Broken, Head
from sisgate.audit.keys import KeyRing
from sisgate.domain.timings import JOB_ACCEPTED
from sisgate.ledger import audit_log
from sisgate.ledger.audit_chain import (
    EventRow,
    SealRow,
    event_counts,
    events_between,
    read_garbled_text,
    sealed_writers,
    seals_through,
)

BLOCK_EVENTS = 20_000
BLOCK_SEALS = 2_000

Progress = Callable[[int], None]
"""Called with the number of events that have been checked."""


def verify(
    session: Session,
    keys: KeyRing,
    heads: Iterable[Head | Broken] = (),
    progress: Progress = lambda _: None,
    *,
    now: datetime,
) -> VerificationResult:
    """Verify the whole log as this session sees it.

    `heads` must have been kept outside before the session began: with a later one the log would
    look as if its end had been cut off.
    """
    read_garbled_text(session)
    verifier = ChainVerifier(keys, heads, now)
    for block in _blocks(seals_through(session)):
        events = _events_of_block(session, block)
        for seal, ranges in block:
            verifier.seal(seal, _events_of(session, ranges, events))
            progress(verifier.result.events)
    _check_rest(session, verifier)
    for writer, sealed in sealed_writers(session):
        verifier.check_note(writer, sealed)
    result = verifier.end()
    for unexplained in (_jobs, _keys, _tokens, _controls):
        for place, what in unexplained(session, verifier.complete_since):
            result.add(IssueKind.NO_EVENT, place, what)
    return result


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
        ranges = ranges_of(seal.covers)
    except (TypeError, ValueError, OverflowError):
        return []
    return ranges if size_of(ranges) == seal.events else []


_Events = dict[tuple[int, int], EventRow]


def _events_of_block(session: Session, block: _Block) -> _Events | None:
    """Read a block's events with one query for each writer; None if it is one large seal."""
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


def _check_rest(session: Session, verifier: ChainVerifier) -> None:
    """Check the events that no seal covers: those to be sealed next, and those put there."""
    for writer, count, low, high in event_counts(session):
        coverage = verifier.coverage.get(writer)
        last = coverage.last if coverage else 0
        tail = 0
        if not isinstance(high, int) or high > last:
            before = verifier.result.unsealed
            verifier.tail(writer, events_between(session, writer, last + 1))
            tail = verifier.result.unsealed - before
        if count - tail != (coverage.present if coverage else 0):
            verifier.inserted(f"{writer}/{low}")


LIMIT_SET, PAUSED, RESUMED = (f"limits:provider:{act}" for act in ("set", "pause", "resume"))
PINNED = "breaker:endpoint:pin"
CONTROLLED = (LIMIT_SET, PAUSED, RESUMED, PINNED)
TOKEN_ADDED = ("access:token:add", "access:token:rotate")

_Unexplained = Iterator[tuple[str, str]]
"""Rows changed since a time that no event explains: the place of each, and what is wrong."""


def _jobs(session: Session, since: datetime | None) -> _Unexplained:
    for job_id in audit_log.jobs_without(session, [JOB_ACCEPTED, JOB_REFUSED], since):
        yield f"job {job_id}", "no event says that it was accepted"


def _keys(session: Session, since: datetime | None) -> _Unexplained:
    keys = audit_log.keys_since(session, since)
    if not keys:
        return
    events = audit_log.details_of(session, beginning="keys:")
    known = {(subject, _detail(detail).get("key")) for subject, _, detail in events}
    for provider, key_id in keys:
        if (provider, key_id) not in known:
            yield f"key {key_id} of {provider}", "no event says where it came from"


def _tokens(session: Session, since: datetime | None) -> _Unexplained:
    tokens = audit_log.tokens_since(session, since)
    if not tokens:
        return
    known = {subject for subject, *_ in audit_log.details_of(session, TOKEN_ADDED)}
    for token_id in tokens:
        if f"token {token_id}" not in known:
            yield f"token {token_id}", "no event says who made it"


def _controls(session: Session, since: datetime | None) -> _Unexplained:
    controls = audit_log.controls_since(session, since)
    if not controls:
        return
    limits: dict[str, Any] = {}
    paused: dict[str, bool] = {}
    pinned: set[str] = set()
    for subject, action, detail in audit_log.details_of(session, CONTROLLED):
        if action == LIMIT_SET:
            limits[subject] = _detail(detail).get("after")
        elif action == PINNED:
            pinned.add(subject.partition("/")[0])
        else:
            paused[subject] = action == PAUSED
    for control in controls:
        place = f"control of {control.provider}"
        if control.windows is not None and control.windows != limits.get(control.provider):
            yield place, f"its limit {', '.join(control.windows)} is not the last one in the log"
        if control.paused and not paused.get(control.provider):
            yield place, "it is paused, and no event says by whom"
        if control.pins and control.provider not in pinned:
            yield place, "a breaker is pinned, and no event says by whom"


def _detail(text: str | None) -> dict[str, Any]:
    try:
        detail = json.loads(text or "{}")
    except ValueError:
        return {}  # garbled: the verification of the chain has reported it
    return detail if isinstance(detail, dict) else {}
