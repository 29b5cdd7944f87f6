"""The tables of the audit log. Triggers of the database refuse to change or delete what they hold.

An event is bound to its writer and number by a message authentication code (MAC); a seal binds
the events that came since the seal before it into one chain. See `docs/explanation/audit.md`.
"""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.ledger.schema.base import Base, BigId


class AuditEvent(Base):
    """One thing that was done: who did what to what, why, and when.

    `writer` is the process that wrote it, `number` counts from 1 without a gap. The log is written
    with every call and searched now and then, so its one index beside the key is by time.
    """

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "at"), {"sqlite_with_rowid": False})

    writer: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str | None] = mapped_column(String(63))
    job_id: Mapped[str | None] = mapped_column(String(36))
    request_id: Mapped[str | None] = mapped_column(String(100))
    detail_text: Mapped[str | None] = mapped_column("detail", Text)
    mac: Mapped[bytes] = mapped_column(LargeBinary)

    @property
    def detail(self) -> dict[str, Any] | None:
        """What else is to be known, as it was recorded. It is kept as text: the MAC covers it."""
        return json.loads(self.detail_text) if self.detail_text else None

    def as_dict(self) -> dict[str, Any]:
        """Return what is shown of it, JSON-ready except for the time; without its MAC."""
        return {
            "event": f"{self.writer}/{self.number}", "at": self.at, "actor": self.actor,
            "action": self.action, "subject": self.subject, "reason": self.reason,
            "provider": self.provider, "job": self.job_id,
            "request": self.request_id or self.job_id, "detail": self.detail,
        }  # fmt: skip


class AuditSeal(Base):
    """One link of the chain: which events it covers, their digest, and its head.

    `covers` is JSON: `[[writer, first, last], …]`. `head` is a MAC of all other columns and of the
    head before, so no seal and no covered event can be changed without changing all that follow.
    """

    __tablename__ = "audit_seals"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    events: Mapped[int]
    total: Mapped[int] = mapped_column(BigInteger)
    covers: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    head: Mapped[bytes] = mapped_column(LargeBinary)


class AuditWriter(Base):
    """How far a writer's events are sealed: the sealer's own note. What counts are the seals."""

    __tablename__ = "audit_writers"

    writer: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sealed: Mapped[int]


class AuditConfiguration(Base):
    """The configuration that processes of one role last started with, as fingerprints."""

    __tablename__ = "audit_configurations"

    role: Mapped[str] = mapped_column(String(110), primary_key=True)
    parts: Mapped[dict[str, Any]]
    changed_at: Mapped[datetime]


class AuditVerification(Base):
    """What the newest verification of the log found: how many issues of each kind.

    None if it is whole. `by_heads`: only the heads that this one had, kept outside, show it.
    """

    __tablename__ = "audit_verifications"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    events: Mapped[int] = mapped_column(BigInteger)
    by_heads: Mapped[bool]
    issues: Mapped[dict[str, Any]]
