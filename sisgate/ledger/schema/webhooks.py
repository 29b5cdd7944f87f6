"""The tables of webhooks: who is told what, what there is to tell, and how it was delivered."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.domain.webhook_events import UNSENT, MessageState, WebhookState
from sisgate.ledger.schema.base import Base, BigId, one_of, partial_index

IS_WAITING = "state = 'waiting'"
IS_SENDING = "state = 'sending'"
IS_UNSENT = one_of("state", UNSENT)


class Webhook(Base):
    """A subscription of an app. Its row is the lock under which its messages are numbered.

    `owner` names the tokens whose rights apply; None for all rights. Without `url`, the app reads
    its messages itself. `failures` counts those since the last delivery; until `not_before`,
    nothing is sent.
    """

    __tablename__ = "webhooks"
    __table_args__ = (CheckConstraint(one_of("state", WebhookState), name="state"),)

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    app: Mapped[str] = mapped_column(String(100), index=True)
    owner: Mapped[str | None] = mapped_column(String(100))
    url: Mapped[str | None] = mapped_column(Text)
    events: Mapped[list[Any]]
    providers: Mapped[list[Any] | None]
    every_app: Mapped[bool]
    ordered: Mapped[bool]
    note: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(String(500))
    sealed_secret: Mapped[bytes]
    sealed_former: Mapped[bytes | None]
    former_until: Mapped[datetime | None]
    last_number: Mapped[int] = mapped_column(BigId, default=0)
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class WebhookInterest(Base):
    """One topic that a webhook hears of, and whose it must be; `*` is any app's.

    Triggers look here, so that nothing is written of what nobody wants to hear.
    """

    __tablename__ = "webhook_interests"

    topic: Mapped[str] = mapped_column(String(10), primary_key=True)
    app: Mapped[str] = mapped_column(String(100), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(
        ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class WebhookOutbox(Base):
    """What has happened and is yet to be told, written in the transaction in which it happened.

    `at` is None for the time when it is read. `data` has what no other row tells.
    """

    __tablename__ = "webhook_outbox"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    topic: Mapped[str] = mapped_column(String(10))
    job_id: Mapped[str | None] = mapped_column(String(36))
    app: Mapped[str | None] = mapped_column(String(100))
    provider: Mapped[str | None] = mapped_column(String(63))
    resource: Mapped[str | None] = mapped_column(String(40))
    state: Mapped[str | None] = mapped_column(String(10))
    at: Mapped[datetime | None]
    data: Mapped[dict[str, Any] | None]


class WebhookMessage(Base):
    """One event for one webhook.

    `event_id` is the same in all webhooks and at each attempt. Messages of an ordered webhook with
    the same `stream` are sent one after the other. `attempt` fences: it grows with every claim.
    """

    __tablename__ = "webhook_messages"
    __table_args__ = (
        CheckConstraint(one_of("state", MessageState), name="state"),
        Index(None, "created_at"),
        Index(None, "webhook_id", "state", "number"),
        partial_index("webhook_id", "not_before", where=IS_WAITING),
        partial_index("webhook_id", "lease_until", where=IS_SENDING),
        partial_index("webhook_id", "stream", "number", where=IS_UNSENT),
    )

    webhook_id: Mapped[str] = mapped_column(
        ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(String(40))
    type: Mapped[str] = mapped_column(String(40))
    provider: Mapped[str | None] = mapped_column(String(63))
    resource: Mapped[str | None] = mapped_column(String(40))
    job_id: Mapped[str | None] = mapped_column(String(36))
    stream: Mapped[str] = mapped_column(String(110))
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10))
    attempt: Mapped[int] = mapped_column(default=0)
    due_since: Mapped[datetime]
    not_before: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One time a message was sent, or could not be. `address` is the receiver's."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["webhook_id", "number"],
            ["webhook_messages.webhook_id", "webhook_messages.number"],
            ondelete="CASCADE",
        ),
    )

    webhook_id: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(BigId, primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    elapsed_ms: Mapped[int]
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(300))
    address: Mapped[str | None] = mapped_column(String(60))


class ProviderCondition(Base):
    """Whether a provider took calls when it was last looked at, for whoever wants to be told."""

    __tablename__ = "provider_conditions"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    condition: Mapped[str] = mapped_column(String(10))
    since: Mapped[datetime]
