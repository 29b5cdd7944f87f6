"""From the outbox to messages: what has happened becomes an event for each webhook that wants it.

One transaction takes rows off the outbox and numbers the messages, under the locks of the webhooks.
So an event is told once to each webhook, and numbers become visible in order.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sisgate.clock import Clock
from sisgate.domain.states import JobKind, JobState
from sisgate.domain.webhook_events import EventType, Topic
from sisgate.ledger import webhook_messages, webhooks
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Job, WebhookOutbox
from sisgate.ledger.webhook_messages import NewMessage
from sisgate.webhooks.rights import News, owners_of, told

BATCH = 200
"""Rows of the outbox that one transaction takes."""


def hand_out(database: Database, clock: Clock, *, most: int = 50 * BATCH) -> int:
    """Make messages of what is in the outbox; return how many rows were taken off it."""
    taken = 0
    while taken < most:
        with database.read() as session:
            if not webhooks.has_news(session):
                break
        with database.write() as session:
            # Webhooks first, as whoever pauses one locks it before it writes to the outbox.
            hearing = webhooks.lock_hearing(session)
            rows = webhooks.lock_news(session, BATCH)
            now = clock.now()
            owners = owners_of(session, hearing, now)
            known = _Known.of(session, rows)
            news = [one for row in rows for one in _events_of(row, known, now)]
            for webhook in hearing:
                found = [told(webhook, one, owners) for one in news]
                messages = [message for message in found if message is not None]
                webhook_messages.append(session, webhook, messages, now)
            webhooks.forget_news(session, [row.id for row in rows])
        taken += len(rows)
    return taken


@dataclass(frozen=True)
class _Known:
    """What the ledger knows of the jobs in the outbox, and of their datasets."""

    jobs: Mapping[str, Job]
    cursors: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, session: Session, rows: Sequence[WebhookOutbox]) -> _Known:
        jobs = webhooks.jobs_by_id(session, [row.job_id for row in rows if row.job_id])
        synced = {job.provider for job in jobs.values() if job.kind == JobKind.SYNC}
        return cls(jobs, webhooks.cursors(session, synced) if synced else {})


def _events_of(row: WebhookOutbox, known: _Known, now: datetime) -> Iterator[News]:
    """Yield what a row of the outbox tells."""
    at = row.at or now
    if row.topic != Topic.JOB:
        kind = f"{row.topic}.{row.state}"
        message = NewMessage(_new_id(), kind, at, row.data or {}, row.provider)
        yield News(message, row.app, private=row.app is not None)
        return
    job = known.jobs.get(row.job_id or "")
    if job is not None:  # else it was deleted meanwhile
        yield from _events_of_job(job, str(row.state), at, known)


def _events_of_job(job: Job, state: str, at: datetime, known: _Known) -> Iterator[News]:
    place = {"provider": job.provider, "resource": job.resource}

    def event(of: EventType, **more: Any) -> NewMessage:
        data = {**place, "job": job.id, **more}
        return NewMessage(_new_id(), of.value, at, data, job.provider, job.resource, job.id)

    counts = {"inserted": job.inserted, "updated": job.updated, "deleted": job.deleted}
    ended = {
        "app": job.app, "kind": job.kind, "state": state, "calls_made": job.calls_made,
        "accepted_at": job.accepted_at.isoformat(),
        "error": (job.error or {}).get("code"),
    }  # fmt: skip
    if job.kind == JobKind.SYNC:
        ended |= {**counts, "complete": job.complete}
    yield News(event(EventType.JOB_ENDED, **ended), job.app, private=True)
    if job.kind != JobKind.SYNC or job.resource is None:
        return
    if any(counts.values()):
        cursor = known.cursors.get((job.provider, job.resource), 0)
        yield News(event(EventType.DATASET_CHANGED, cursor=cursor, **counts), job.app)
    if state == JobState.HELD:
        yield News(event(EventType.SYNC_HELD, app=job.app), job.app)


def _new_id() -> str:
    return f"evt_{uuid.uuid4().hex}"
