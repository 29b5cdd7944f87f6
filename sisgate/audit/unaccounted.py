"""Rows that say that something was done of which the log says nothing.

Who can write to the tables can make a job, a key, a token, or raise a limit; only with the audit
key can an event be made for it. What is older than a log whose beginning was archived is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.audit.events import JOB_ACCEPTED, JOB_REFUSED
from sisgate.ledger.schema import AccessToken, AuditEvent, Control, Job, Key

LIMIT_SET, PAUSED, RESUMED = (f"limits:provider:{act}" for act in ("set", "pause", "resume"))
PINNED = "breaker:endpoint:pin"
TOKEN_MADE = ("access:token:add", "access:token:rotate")


def unaccounted(session: Session, since: datetime | None) -> Iterator[tuple[str, str]]:
    """Yield each such row, made or changed after `since`, as its place and what is wrong."""
    yield from _jobs(session, since)
    yield from _keys(session, since)
    yield from _tokens(session, since)
    yield from _controls(session, since)


def _jobs(session: Session, since: datetime | None) -> Iterator[tuple[str, str]]:
    # Joined, for there is no index by job: either database then reads the log once.
    is_its_event = (AuditEvent.job_id == Job.id) & AuditEvent.action.in_(
        [JOB_ACCEPTED, JOB_REFUSED]
    )
    query = select(Job.id).outerjoin(AuditEvent, is_its_event).where(AuditEvent.number.is_(None))
    if since is not None:
        query = query.where(Job.accepted_at >= since)
    for job_id in session.scalars(query, execution_options={"yield_per": 1000}):
        yield f"job {job_id}", "no event tells that it was accepted"


def _keys(session: Session, since: datetime | None) -> Iterator[tuple[str, str]]:
    query = select(Key.provider, Key.id)
    if since is not None:
        query = query.where(Key.created_at >= since)
    keys = session.execute(query).all()
    if not keys:
        return
    told = select(AuditEvent.subject, AuditEvent.detail_text).where(
        AuditEvent.action.like("keys:%")
    )
    known = {(subject, _detail(detail).get("key")) for subject, detail in session.execute(told)}
    for provider, key_id in keys:
        if (provider, key_id) not in known:
            yield f"key {key_id} of {provider}", "no event tells where it came from"


def _tokens(session: Session, since: datetime | None) -> Iterator[tuple[str, str]]:
    query = select(AccessToken.id)
    if since is not None:
        query = query.where(AccessToken.created_at >= since)
    tokens = session.scalars(query).all()
    if not tokens:
        return
    told = select(AuditEvent.subject).where(AuditEvent.action.in_(TOKEN_MADE))
    known = set(session.scalars(told))
    for token_id in tokens:
        if f"token {token_id}" not in known:
            yield f"token {token_id}", "no event tells who made it"


def _controls(session: Session, since: datetime | None) -> Iterator[tuple[str, str]]:
    query = select(Control)
    if since is not None:
        query = query.where(Control.changed_at >= since)
    controls = session.scalars(query).all()
    if not controls:
        return
    acts = (LIMIT_SET, PAUSED, RESUMED, PINNED)
    told = (
        select(AuditEvent.subject, AuditEvent.action, AuditEvent.detail_text)
        .where(AuditEvent.action.in_(acts))
        .order_by(AuditEvent.at, AuditEvent.writer, AuditEvent.number)
    )
    limits: dict[str, Any] = {}
    paused: dict[str, bool] = {}
    pinned: set[str] = set()
    for subject, action, detail in session.execute(told):
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
            yield place, "it is paused, and no event tells by whom"
        if control.pins and control.provider not in pinned:
            yield place, "a breaker is pinned, and no event tells by whom"


def _detail(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}  # the log's own verification has told it
    return found if isinstance(found, dict) else {}
