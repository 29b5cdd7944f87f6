"""The versions of the fleet's configuration."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sisgate.ledger.database import Database
from sisgate.ledger.schema import ConfigurationVersion
from sisgate.ledger.statements import insert_into

SEARCHED = 500
"""How many versions back it is searched for the one that removed a provider."""


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A version without its document: who applied it, when and why.

    `changes` are the names of the tables that it added, changed and removed.
    """

    number: int
    digest: str
    based_on: int
    changes: Mapping[str, Sequence[str]]
    created_at: datetime
    actor: str
    reason: str | None


_INFO = [getattr(ConfigurationVersion, each.name) for each in fields(VersionInfo)]


def newest(session: Session) -> int:
    """Return the number of the version in force, 0 where there is none."""
    return session.scalar(select(func.max(ConfigurationVersion.number))) or 0


def document_of(session: Session, number: int) -> dict[str, Any] | None:
    """Return the document of a version, None where there is no such version."""
    text = session.scalar(
        select(ConfigurationVersion.document).where(ConfigurationVersion.number == number)
    )
    return None if text is None else json.loads(text)


Identity = tuple[int, str]
"""Number and digest of a version. A ledger that was restored from a backup gives out the numbers
after it again, for other documents."""

NO_VERSION: Identity = (0, "")


def read_newest(database: Database, known: Identity) -> tuple[Identity, dict[str, Any] | None]:
    """Return which version is in force, and its document unless that is the `known` one.

    Raises `DatabaseUnavailable`, also for a ledger whose tables are older than this code.
    """
    newest_first = ConfigurationVersion.number.desc()
    columns = (ConfigurationVersion.number, ConfigurationVersion.digest)
    with database.read() as session:
        row = session.execute(select(*columns).order_by(newest_first).limit(1)).first()
        found = NO_VERSION if row is None else (row.number, row.digest)
        return found, document_of(session, found[0]) if found != known else None


def info_of(session: Session, number: int) -> VersionInfo | None:
    """Return who applied a version, when and why; None where there is no such version."""
    row = session.execute(select(*_INFO).where(ConfigurationVersion.number == number)).first()
    return None if row is None else VersionInfo(*row)


def history(session: Session, limit: int) -> list[VersionInfo]:
    """Return the newest versions, newest first."""
    rows = session.execute(select(*_INFO).order_by(ConfigurationVersion.number.desc()).limit(limit))
    return [VersionInfo(*row) for row in rows]


def add(session: Session, info: VersionInfo, document: Mapping[str, Any]) -> bool:
    """Add a version; return False if another transaction has added one of that number."""
    values = {
        "number": info.number, "digest": info.digest, "based_on": info.based_on,
        "changes": {kind: list(names) for kind, names in info.changes.items()},
        "created_at": info.created_at, "actor": info.actor, "reason": info.reason,
        "document": json.dumps(document, ensure_ascii=False, separators=(",", ":")),
    }  # fmt: skip
    statement = insert_into(session, ConfigurationVersion).values(**values).on_conflict_do_nothing()
    return session.scalar(statement.returning(ConfigurationVersion.number)) is not None


def removed(session: Session, providers: Collection[str]) -> dict[str, VersionInfo]:
    """Return by which version each of the providers was removed, unless it is configured again.

    A provider that none of the last versions removed is left out.
    """
    configured = (document_of(session, newest(session)) or {}).get("providers", {})
    wanted = {f"providers.{name}": name for name in providers if name not in configured}
    by: dict[str, VersionInfo] = {}
    for version in history(session, SEARCHED) if wanted else ():
        for subject in wanted.keys() & version.changes.get("remove", ()):
            by.setdefault(wanted[subject], version)
    return by


def has_provider(session: Session, provider: str) -> bool:
    """Return whether the version in force has a provider."""
    return provider in (document_of(session, newest(session)) or {}).get("providers", {})
