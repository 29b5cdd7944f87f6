"""Writing and reading the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from sisgate.audit.content import compact_json
from sisgate.audit.writers import writers_of
from sisgate.ledger.schema import AuditEvent

REASON_LIMIT = 500


def record(
    session: Session,
    now: datetime,
    *,
    actor: str,
    action: str,
    subject: str,
    reason: str | None = None,
    provider: str | None = None,
    job: str | None = None,
    request_id: str | None = None,
    **detail: Any,
) -> None:
    """Add an event to the transaction of what it tells about: both are committed, or neither.

    `action` is `source:subject:action`, for instance `limits:provider:set`. `provider` and `job`
    are what the event can be searched by; `request_id` is the app's own id of what it asked for,
    None for that of the job. Neither secrets nor student data belong into any of it: a person is
    named by a pseudonym (`sisgate.privacy.suppression`). Raises at the commit, and undoes it, where
    there is no audit key.
    """
    detail = {name: value for name, value in detail.items() if value is not None}
    draft = (
        now, _clean(actor, 100), _clean(action, 100), _clean(subject, 255),
        _clean(reason, REASON_LIMIT) if reason else None,
        _clean(provider, 63) if provider else None, _clean(job, 36) if job else None,
        _clean(request_id, 100) if request_id else None,
        _clean(compact_json(detail), None) if detail else None,
    )  # fmt: skip
    writers_of(session).add(session, draft)


@dataclass(frozen=True)
class Filter:
    """Which events are looked for; None and empty mean any. `action` is the beginning of one.

    `until` is exclusive. `request_id` also finds the events of the job of that id.
    """

    actor: str | None = None
    action: str | None = None
    subjects: Sequence[str] = ()
    provider: str | None = None
    job: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def of(self, query: Select[AuditEvent]) -> Select[AuditEvent]:
        """Return the query with the conditions added."""
        event = AuditEvent
        if self.actor is not None:
            query = query.where(event.actor == self.actor)
        if self.action is not None:
            query = query.where(event.action.startswith(self.action, autoescape=True))
        if self.subjects:
            query = query.where(event.subject.in_(self.subjects))
        if self.provider is not None:
            query = query.where(
                or_(event.provider == self.provider, event.subject == self.provider)
            )
        if self.job is not None:
            query = query.where(event.job_id == self.job)
        if self.request_id is not None:
            mine = self.request_id
            query = query.where(
                or_(event.request_id == mine, event.request_id.is_(None) & (event.job_id == mine))
            )
        if self.since is not None:
            query = query.where(event.at >= self.since)
        if self.until is not None:
            query = query.where(event.at < self.until)
        return query


def tail(
    session: Session,
    wanted: Filter | None = None,
    *,
    subject: str | None = None,
    limit: int = 50,
) -> Sequence[AuditEvent]:
    """Return the newest events that fit, newest first."""
    wanted = wanted or Filter(subjects=(subject,) if subject is not None else ())
    newest = (AuditEvent.at.desc(), AuditEvent.writer.desc(), AuditEvent.number.desc())
    return session.scalars(wanted.of(select(AuditEvent)).order_by(*newest).limit(limit)).all()


def search(session: Session, wanted: Filter) -> Iterator[AuditEvent]:
    """Stream the events that fit, oldest first, in constant memory."""
    oldest = (AuditEvent.at, AuditEvent.writer, AuditEvent.number)
    query = wanted.of(select(AuditEvent)).order_by(*oldest)
    for event in session.scalars(query, execution_options={"yield_per": 1000}):
        session.expunge(event)
        yield event


def _clean(text: str, limit: int | None) -> str:
    # PostgreSQL stores no NUL, and no half of a surrogate pair is UTF-8.
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:limit]
