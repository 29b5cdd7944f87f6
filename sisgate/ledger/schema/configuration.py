"""The table of the versions of the fleet's configuration."""

from datetime import datetime
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.ledger.schema.base import Base


class ConfigurationVersion(Base):
    """One version of the configuration, whole, as JSON; the one with the highest number holds.

    `based_on` is the number of the version before it, 0 for none; `changes` are the names of the
    tables that differ from that one, by `add`, `change` and `remove`.
    """

    __tablename__ = "configuration_versions"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    # Text, since JSONB would sort the tables.
    document: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
    based_on: Mapped[int]
    changes: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str | None] = mapped_column(Text)
