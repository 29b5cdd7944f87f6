"""The tables of the providers' keys: the keys, their slots, and how they are used."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.domain.states import KeyState
from sisgate.ledger.schema.base import Base, one_of


class Key(Base):
    """One credential of a provider, sealed. The secret of a retired or revoked one is empty.

    `ordered` is whether a staged one becomes active as soon as its canary passes. `probe_job` is
    the request under way that tries it, `probes_failed` how many in a row have failed, and
    `next_probe_at` when the next one may be. `reason` tells why it is suspect, or why it ended.
    """

    __tablename__ = "keys"
    __table_args__ = (
        Index(None, "provider", "state"),
        CheckConstraint(one_of("state", KeyState), name="state"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    provider: Mapped[str] = mapped_column(String(63))
    slot: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(10))
    client_id: Mapped[str] = mapped_column(String(255))
    sealed_secret: Mapped[bytes]
    source: Mapped[str] = mapped_column(String(63), default="hand", server_default="hand")
    ordered: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    draining_until: Mapped[datetime | None]
    suspect_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    probe_job: Mapped[str | None] = mapped_column(String(36))
    probes_failed: Mapped[int] = mapped_column(default=0, server_default="0")
    next_probe_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    warned_at: Mapped[datetime | None]


class KeySlot(Base):
    """One slot of a provider and its rotation. Its row is the lock of every change in the slot.

    `order_id` stands for a key that a source was asked for and that has not come yet;
    `leased_until` is how long the one who asks has time. `failure` is why the last rotation ended
    without a new key, and `not_before` when the next may begin.
    """

    __tablename__ = "key_slots"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    slot: Mapped[str] = mapped_column(String(10), primary_key=True)
    requested_at: Mapped[datetime | None]
    order_id: Mapped[str | None] = mapped_column(String(36))
    order_tries: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    failure: Mapped[str | None] = mapped_column(Text)


class KeyUsage(Base):
    """What came of the calls with a key. Counted in Redis, added here by beat.

    `batch` is the number of the last batch of counts that was added: one that comes twice is left.
    """

    __tablename__ = "key_usage"

    key_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("keys.id", ondelete="CASCADE"), primary_key=True
    )
    calls: Mapped[int] = mapped_column(BigInteger, default=0)
    errors: Mapped[int] = mapped_column(BigInteger, default=0)
    throttled: Mapped[int] = mapped_column(BigInteger, default=0)
    refused: Mapped[int] = mapped_column(BigInteger, default=0)
    last_used_at: Mapped[datetime | None]
    first_refused_at: Mapped[datetime | None]
    last_refused_at: Mapped[datetime | None]
    batch: Mapped[int] = mapped_column(BigInteger, default=0)
