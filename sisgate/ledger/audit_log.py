"""The events of the audit log in the ledger: appending, searching, and rows that have none."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from sisgate.domain.timings import JOB_ACCEPTED
from sisgate.ledger.bulk_statements import insert_rows
from sisgate.ledger.prepared import Prepared, given
from sisgate.ledger.schema import AccessToken, AuditEvent, Control, Job, Key, table_of
from sisgate.ledger.statements import is_postgresql

FEW_ROWS = 10
"""More events than so many are one statement in PostgreSQL, instead of one each."""

_TABLE = table_of(AuditEvent)
_INSERT = Prepared(
    lambda _: insert(_TABLE).values({c.name: given(c.name, c.type) for c in _TABLE.columns})
)


@dataclass(frozen=True)
class AuditFilter:
    """Which events are looked for; None and empty mean any. `action` is the beginning of one.

    A name as `actor` finds what was done with any of its tokens and, as an app, in its name; what
    the log has as the actor finds only that. `job` is an id, for `gateway.audit` also the beginning
    of one. `until` is exclusive. `request_id` also finds the events of the job of that id.
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
            query = query.where(_is_by(self.actor))
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


def _is_by(actor: str) -> ColumnElement[bool]:
    """Whether somebody did it, with whichever token, or it was asked in the name of that app.

    Who ran a schedule, or enqueued for another app, is in the detail of the accepted job.
    """
    event, with_token = AuditEvent, f"{actor} (token "
    enqueued = [
        f'"by":{json.dumps(actor, ensure_ascii=False)}',
        f'"by":{json.dumps(with_token, ensure_ascii=False)[:-1]}',
    ]
    return or_(
        event.actor.in_([actor, f"app:{actor}"]),
        func.substr(event.actor, 1, len(with_token)) == with_token,
        (event.action == JOB_ACCEPTED) & or_(*(_holds(event.detail_text, by) for by in enqueued)),
    )


def _holds(column: InstrumentedAttribute[str | None], text: str) -> ColumnElement[bool]:
    # Not LIKE, which ignores case in SQLite.
    return func.replace(column, text, "") != column


def append(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert events, each with all its columns."""
    if len(rows) > FEW_ROWS and is_postgresql(session):
        insert_rows(session, _TABLE, rows)
    else:
        _INSERT.run_each(session, rows)


def tail(
    session: Session,
    wanted: AuditFilter | None = None,
    *,
    subject: str | None = None,
    limit: int = 50,
) -> Sequence[AuditEvent]:
    """Return the newest events that fit, newest first."""
    wanted = wanted or AuditFilter(subjects=(subject,) if subject is not None else ())
    newest = (AuditEvent.at.desc(), AuditEvent.writer.desc(), AuditEvent.number.desc())
    return session.scalars(wanted.of(select(AuditEvent)).order_by(*newest).limit(limit)).all()


def search(
    session: Session, wanted: AuditFilter, actions: Collection[str] = ()
) -> Iterator[AuditEvent]:
    """Stream the events that fit, oldest first, in constant memory; `actions` empty means any."""
    oldest = (AuditEvent.at, AuditEvent.writer, AuditEvent.number)
    query = wanted.of(select(AuditEvent)).order_by(*oldest)
    if actions:
        query = query.where(AuditEvent.action.in_(actions))
    for event in session.scalars(query, execution_options={"yield_per": 1000}):
        session.expunge(event)
        yield event


def jobs_beginning(session: Session, beginning: str, *, limit: int) -> Sequence[str]:
    """Return ids that begin so, of jobs with events: also of those that are deleted."""
    job_id = AuditEvent.job_id
    begins = func.substr(job_id, 1, len(beginning)) == beginning
    query = select(job_id).where(begins).distinct().limit(limit)
    return [each for each in session.scalars(query) if each is not None]


def subjects(session: Session, action: str, among: Collection[str]) -> set[str]:
    """Return which of the subjects have an event of that very action."""
    event = AuditEvent
    query = select(event.subject).where(event.action == action, event.subject.in_(among))
    return set(session.scalars(query)) if among else set()


def details_of(
    session: Session, actions: Sequence[str] = (), *, beginning: str = ""
) -> Iterator[Row[str, str, str | None]]:
    """Yield subject, action and detail of the events of these actions, oldest first."""
    event = AuditEvent
    query = select(event.subject, event.action, event.detail_text)
    is_wanted = event.action.startswith(beginning) if beginning else event.action.in_(actions)
    oldest = (event.at, event.writer, event.number)
    yield from session.execute(query.where(is_wanted).order_by(*oldest))


def jobs_without(session: Session, actions: Sequence[str], since: datetime | None) -> Iterator[str]:
    """Stream the ids of the jobs that were accepted since a time and have no such event."""
    # Joined, for there is no index by job: either database then reads the log once.
    is_its_event = (AuditEvent.job_id == Job.id) & AuditEvent.action.in_(actions)
    query = select(Job.id).outerjoin(AuditEvent, is_its_event).where(AuditEvent.number.is_(None))
    query = query.where(_since(Job.accepted_at, since))
    yield from session.scalars(query, execution_options={"yield_per": 1000})


def keys_since(session: Session, since: datetime | None) -> Sequence[Row[str, str]]:
    """Return provider and id of the keys that were made since a time."""
    made = _since(Key.created_at, since)
    return session.execute(select(Key.provider, Key.id).where(made)).all()


def tokens_since(session: Session, since: datetime | None) -> Sequence[str]:
    """Return the ids of the access tokens that were made since a time."""
    made = _since(AccessToken.created_at, since)
    return session.scalars(select(AccessToken.id).where(made)).all()


def controls_since(session: Session, since: datetime | None) -> Sequence[Control]:
    """Return what was set for providers since a time."""
    return session.scalars(select(Control).where(_since(Control.changed_at, since))).all()


def _since(column: InstrumentedAttribute[datetime], since: datetime | None) -> ColumnElement[bool]:
    return true() if since is None else column >= since
