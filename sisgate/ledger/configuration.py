"""The versions of the fleet's configuration."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sisgate.ledger.database import Database
from sisgate.ledger.schema import ConfigurationVersion


def newest(session: Session) -> int:
    """Return the number of the version in force, 0 where there is none."""
    return session.scalar(select(func.max(ConfigurationVersion.number))) or 0


def document_of(session: Session, number: int) -> dict[str, Any] | None:
    """Return the document of a version, None where there is no such version."""
    text = session.scalar(
        select(ConfigurationVersion.document).where(ConfigurationVersion.number == number)
    )
    return None if text is None else json.loads(text)


def read_newest(database: Database, known: int) -> tuple[int, dict[str, Any] | None]:
    """Return the number of the version in force, and its document unless that is `known`.

    Raises `DatabaseUnavailable`, also for a ledger whose tables are older than this code.
    """
    with database.read() as session:
        number = newest(session)
        return number, document_of(session, number) if number != known else None
