"""The ends of calls as the audit log tells them, in the order in which they were sealed.

An event is written with what it is about or not at all, and sealed once; so who follows the seals
sees the end of each attempt exactly once, whatever was killed meanwhile.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from sisgate.domain.call_results import CALL_OUTCOME
from sisgate.domain.timings import JOB_ACCEPTED
from sisgate.ledger.schema import AuditEvent, AuditSeal

_STREAM = {"yield_per": 2000}


class SealedSpan(NamedTuple):
    """Consecutive seals: the last one's number, when it was made, and the events they cover.

    `ranges` are writers with their first and last number, both included.
    """

    last: int
    at: datetime
    ranges: Sequence[tuple[int, int, int]]


class JobAcceptance(NamedTuple):
    """One event of an accepted job, as far as it is counted."""

    provider: str
    detail: dict[str, Any]


class EndedCall(NamedTuple):
    """One event of an ended attempt. `detail` is what it tells; `call` and `job` are ids."""

    at: datetime
    provider: str
    detail: dict[str, Any]
    call: int | None = None
    job: str | None = None


def sealed_after(session: Session, number: int, at_most: int) -> SealedSpan | None:
    """Return the seals after this one, with `at_most` events if they can be split; None if none."""
    query = select(AuditSeal).where(AuditSeal.number > number).order_by(AuditSeal.number)
    events, last = 0, None
    ranges: dict[int, list[tuple[int, int, int]]] = {}
    for seal in session.scalars(query.limit(1000)):
        if last is not None and events + seal.events > at_most:
            break
        last, events = seal, events + seal.events
        for writer, begin, end in json.loads(seal.covers):
            known = ranges.setdefault(writer, [])
            follows = bool(known) and known[-1][2] == begin - 1
            known.append((writer, known.pop()[1] if follows else begin, end))
    if last is None:
        return None
    return SealedSpan(last.number, last.at, [each for known in ranges.values() for each in known])


def counted_events(
    session: Session, span: SealedSpan
) -> tuple[list[EndedCall], list[JobAcceptance]]:
    """Return the ends of attempts that the seals cover, and the accepted jobs that tell times.

    One that cannot be read is left out.
    """
    ended: list[EndedCall] = []
    accepted: list[JobAcceptance] = []
    for action, at, provider, detail, subject, job in _events(session, span):
        try:
            told = dict(json.loads(detail or ""))
            if action == JOB_ACCEPTED:
                accepted.append(JobAcceptance(provider or "", told))
                continue
            number = int(subject.removeprefix("call/"))
            ended.append(EndedCall(at, provider or "", told, number, job))
        except (TypeError, ValueError):
            # Somebody has changed it; to say so is the verification's part.
            continue
    return ended, accepted


def _events(
    session: Session, span: SealedSpan
) -> Iterator[Row[str, datetime, str | None, str | None, str, str | None]]:
    event = AuditEvent
    for writer, first, last in span.ranges:
        query = select(
            event.action, event.at, event.provider, event.detail_text, event.subject, event.job_id
        ).where(
            event.writer == writer,
            event.number.between(first, last),
            event.action.in_([CALL_OUTCOME, JOB_ACCEPTED]),
        )
        yield from session.execute(query, execution_options=_STREAM)
