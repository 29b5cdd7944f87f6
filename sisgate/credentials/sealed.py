"""Everything that is sealed, where it is, and moving it to the newest master key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from sisgate.credentials.keys import context_of, first_context_of
from sisgate.credentials.master import ID_BYTES
from sisgate.credentials.sealed_requests import context_of as context_of_request
from sisgate.credentials.stored_tokens import StoredTokens
from sisgate.credentials.vault import Vault
from sisgate.errors import BrokerUnavailable, CredentialError
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Base, Job, Key, PrivacyKey, Response

BATCH = 100
"""Rows that are moved in one transaction."""


@dataclass(frozen=True)
class SealedColumn:
    """One column of sealed texts. `context` names the place of a row as its writer did."""

    table: type[Base]
    key: InstrumentedAttribute[Any]
    column: InstrumentedAttribute[Any]
    context: Callable[[Any], str]
    first_context: Callable[[Any], str] | None = None

    @property
    def name(self) -> str:
        """Table and column."""
        return f"{self.table.__tablename__}.{self.column.key}"


SEALED: tuple[SealedColumn, ...] = (
    SealedColumn(Key, Key.id, Key.sealed_secret, context_of, first_context_of),
    SealedColumn(
        Response, Response.job_id, Response.sealed_body, lambda row: f"responses/{row.job_id}"
    ),
    SealedColumn(
        PrivacyKey,
        PrivacyKey.name,
        PrivacyKey.sealed_key,
        lambda row: f"privacy_keys/{row.name}",
    ),
    SealedColumn(Job, Job.id, Job.sealed_request, lambda row: context_of_request(row.id)),
)
"""Whoever seals something for the ledger adds its column here."""

TOKENS = "tokens"
"""The access tokens in Redis, as a place."""


@dataclass(frozen=True)
class Progress:
    """How far a rewrap is: in which column, how many rows of how many have been moved."""

    name: str
    moved: int
    total: int
    unopened: tuple[str, ...] = field(default=())
    """Places that do not open: their master key is missing, or they were changed."""


def uses(database: Database) -> dict[str, Counter[str]]:
    """Return how many texts each master key has sealed, by its id in hex and by place.

    Access tokens are not among them: one that does not open is fetched anew.
    """
    found: dict[str, Counter[str]] = {}
    with database.read() as session:
        for sealed in SEALED:
            header = func.substr(sealed.column, 2, ID_BYTES)
            query = select(header, func.count()).where(_is_sealed(sealed)).group_by(header)
            for master, count in session.execute(query):
                found.setdefault(bytes(master).hex(), Counter())[sealed.name] += count
    return found


def rewrap(database: Database, vault: Vault, tokens: StoredTokens | None) -> Iterator[Progress]:
    """Move everything to the newest master key; yield after each batch.

    May be stopped anywhere and begun again: what has been moved is not looked at any more. Safe
    beside a running fleet: a row that was changed meanwhile is left to its writer. Access tokens
    of other master keys are dropped; they are fetched anew.
    """
    for sealed in SEALED:
        yield from _rewrap_column(database, vault, sealed)
    if tokens is not None:
        with suppress(BrokerUnavailable):
            dropped = tokens.drop_others(vault.newest_header)
            yield Progress(TOKENS, dropped, dropped)


def _rewrap_column(database: Database, vault: Vault, sealed: SealedColumn) -> Iterator[Progress]:
    with database.read() as session:
        old = (_is_sealed(sealed), _header(sealed) != vault.newest_header)
        total = session.scalar(select(func.count()).select_from(sealed.table).where(*old)) or 0
    if not total:
        return
    moved, unopened, last = 0, list[str](), ""
    while True:
        with database.write() as session:
            query = select(sealed.table).where(*old, sealed.key > last).order_by(sealed.key)
            rows = session.scalars(query.limit(BATCH)).all()
            for row in rows:
                last = str(getattr(row, sealed.key.key))
                try:
                    moved += _move(session, vault, sealed, row)
                except CredentialError:
                    unopened.append(f"{sealed.table.__tablename__}/{last}")
        if rows:
            yield Progress(sealed.name, moved, total, tuple(unopened))
        if len(rows) < BATCH:
            return


def _move(session: Session, vault: Vault, sealed: SealedColumn, row: Base) -> int:
    old: bytes = getattr(row, sealed.column.key)
    first = sealed.first_context(row) if sealed.first_context else None
    new = vault.rewrap(old, sealed.context(row), first_context=first)
    # Rows are loaded without a lock: one that was written meanwhile no longer has the old text.
    statement = update(sealed.table).where(
        sealed.key == getattr(row, sealed.key.key), sealed.column == old
    )
    statement = statement.values({sealed.column: new})
    changed = session.execute(statement.execution_options(synchronize_session=False))
    return int(getattr(changed, "rowcount", 0))


def _header(sealed: SealedColumn) -> Any:
    return func.substr(sealed.column, 1, 1 + ID_BYTES)


def _is_sealed(sealed: SealedColumn) -> Any:
    return func.length(sealed.column) > ID_BYTES
