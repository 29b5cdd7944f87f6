"""Writing and reading the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.ledger.schema import AuditEvent


def record(
    session: Session,
    now: datetime,
    *,
    actor: str,
    action: str,
    subject: str,
    reason: str | None = None,
    **detail: Any,
) -> None:
    """Add an event to the transaction of what it tells about.

    `action` is `source:subject:action`, for instance `limits:provider:set`. Neither secrets nor
    student data belong into `reason` or `detail`.
    """
    session.add(
        AuditEvent(
            at=now,
            actor=actor[:100],
            action=action,
            subject=subject,
            reason=reason,
            detail=detail or None,
        )
    )


def tail(session: Session, *, subject: str | None = None, limit: int = 50) -> Sequence[AuditEvent]:
    """Return the newest events, newest first."""
    query = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(AuditEvent.subject == subject)
    return session.scalars(query).all()
