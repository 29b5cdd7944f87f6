"""The tables of alerts, their messages and silences, and of error patterns."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.domain.alert_states import (
    LIVE_ALERT_STATES,
    AlertMessageState,
    AlertSeverity,
    AlertState,
    PatternState,
)
from sisgate.ledger.schema.base import Base, BigId, one_of, partial_index


class Alert(Base):
    """One thing that is, or was, wrong by one rule: one row for a rule and a subject at a time.

    `since` is when its condition began to hold, `changed_at` when it last fired or ended. `times`
    counts how often it has fired, of which `flaps` lately for the same cause. `told` is what log
    and webhooks were told last, `channels` are those that were told that it fires, and not yet of
    its end.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint(one_of("state", AlertState), name="state"),
        CheckConstraint(one_of("severity", AlertSeverity), name="severity"),
        partial_index("rule", "subject", where=one_of("state", LIVE_ALERT_STATES), unique=True),
        Index(None, "changed_at"),
        partial_index("told_at", where="told = 'firing'"),
    )

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    rule: Mapped[str] = mapped_column(String(63))
    subject: Mapped[str] = mapped_column(String(150))
    provider: Mapped[str | None] = mapped_column(String(63))
    state: Mapped[str] = mapped_column(String(12))
    severity: Mapped[str] = mapped_column(String(8))
    cause: Mapped[str] = mapped_column(String(40))
    culprit: Mapped[str] = mapped_column(String(150))
    message: Mapped[str] = mapped_column(Text)
    remedy: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]]
    since: Mapped[datetime]
    fired_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None] = mapped_column(String(100))
    note: Mapped[str | None] = mapped_column(String(500))
    resolved_at: Mapped[datetime | None]
    seen_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    times: Mapped[int] = mapped_column(default=0)
    flaps: Mapped[int] = mapped_column(default=0)
    told: Mapped[str | None] = mapped_column(String(8))
    told_at: Mapped[datetime | None]
    channels: Mapped[list[Any]] = mapped_column(default=list)


class AlertSilence(Base):
    """No messages of alerts of a rule, of a provider, or of both, until a time."""

    __tablename__ = "alert_silences"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    rule: Mapped[str | None] = mapped_column(String(63))
    provider: Mapped[str | None] = mapped_column(String(63))
    until: Mapped[datetime] = mapped_column(index=True)
    set_by: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]


class AlertMessage(Base):
    """One message to one channel, written with the states that it tells of.

    `attempt` fences: it grows with every claim, and a claim ends with its lease. `severity` is that
    of the worst alert that fires. `recovered`: it tells only of alerts that have recovered.
    """

    __tablename__ = "alert_messages"
    __table_args__ = (
        CheckConstraint(one_of("state", AlertMessageState), name="state"),
        partial_index("not_before", where="state = 'waiting'"),
        Index(None, "created_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    channel: Mapped[str] = mapped_column(String(63))
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(String(8))
    alerts: Mapped[list[Any]]
    recovered: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(8))
    attempt: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(300))
    sent_at: Mapped[datetime | None]


class AlertEvaluation(Base):
    """The slot of time that was evaluated last: who moves it on evaluates it."""

    __tablename__ = "alert_evaluations"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    slot: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]


class ErrorPattern(Base):
    """Errors of calls that are alike: of one provider and endpoint, one kind, one message.

    The message has no values: no id, number or name. `fixed_in` is what a person said fixes it.
    """

    __tablename__ = "error_patterns"
    __table_args__ = (
        CheckConstraint(one_of("state", PatternState), name="state"),
        Index(None, "last_seen"),
    )

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    provider: Mapped[str] = mapped_column(String(63))
    endpoint: Mapped[str] = mapped_column(String(300))
    code: Mapped[str] = mapped_column(String(40))
    status: Mapped[int | None]
    message: Mapped[str] = mapped_column(Text)
    count: Mapped[int] = mapped_column(BigInteger)
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    last_job: Mapped[str | None] = mapped_column(String(36))
    state: Mapped[str] = mapped_column(String(8))
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None] = mapped_column(String(100))
    fixed_in: Mapped[str | None] = mapped_column(String(200))
    reopened_at: Mapped[datetime | None]


class ErrorCount(Base):
    """How often a pattern came in the ten minutes that begin at `begin`."""

    __tablename__ = "error_counts"

    pattern_id: Mapped[str] = mapped_column(
        ForeignKey("error_patterns.id", ondelete="CASCADE"), primary_key=True
    )
    begin: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    count: Mapped[int]
