"""The table of what providers were asked for, by the hour: it outlives the calls it counts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.ledger.base import Base


class UsageHour(Base):
    """How much of a provider one app used within one hour, which begins at `hour`.

    `calls` counts attempts, as the provider's quota does. `throttled` are those answered 429,
    `failed` those without an answer or answered 5xx, `rows` the rows of good answers.
    """

    __tablename__ = "usage_hours"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    app: Mapped[str] = mapped_column(String(100), primary_key=True)
    calls: Mapped[int]
    throttled: Mapped[int]
    failed: Mapped[int]
    rows: Mapped[int] = mapped_column(BigInteger)
