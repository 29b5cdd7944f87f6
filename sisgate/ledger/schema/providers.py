"""The tables of providers: run-time settings and usage."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.ledger.schema.base import Base


class Control(Base):
    """What a person has set for a provider at run time; it beats the configuration file.

    `pins` are breakers that are fixed by hand, by endpoint. `set_by` tells for each of `pause`,
    `limits` and `breaker` who set it last, when and why. `journal_read` is the last entry of the
    breakers' journal that the audit log has.
    """

    __tablename__ = "controls"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    windows: Mapped[list[Any] | None]
    paused: Mapped[bool] = mapped_column(default=False)
    paused_until: Mapped[datetime | None]
    blocked_until: Mapped[datetime | None]
    pins: Mapped[dict[str, Any] | None]
    set_by: Mapped[dict[str, Any] | None]
    journal_read: Mapped[str | None] = mapped_column(String(50))
    changed_at: Mapped[datetime]


class UsageHour(Base):
    """How much of a provider one app used within one hour, which begins at `hour`.

    `calls` counts attempts. `throttled` are those answered 429, `failed` those without an answer
    or answered 5xx, `unsent` those of the failed that could not be sent: they count against no
    quota. `rows` are the rows of good answers.
    """

    __tablename__ = "usage_hours"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    app: Mapped[str] = mapped_column(String(100), primary_key=True)
    calls: Mapped[int]
    throttled: Mapped[int]
    failed: Mapped[int]
    rows: Mapped[int] = mapped_column(BigInteger)
    unsent: Mapped[int] = mapped_column(default=0, server_default=text("0"))
