"""The tables of access tokens, of sessions, and of erased persons."""

from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.ledger.schema.base import Base


class AccessToken(Base):
    """A token of an app or a person: its digest, and what it is good for."""

    __tablename__ = "access_tokens"

    id: Mapped[str] = mapped_column(String(10), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    roles: Mapped[list[Any]]
    scopes: Mapped[list[Any]]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(100))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AccessSession(Base):
    """A person's visit to the console, begun with a token: the digest of what the browser holds."""

    __tablename__ = "access_sessions"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    token_id: Mapped[str] = mapped_column(String(10))
    begun_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Suppression(Base):
    """A person whom later syncs of a provider leave out: a keyed digest, no id and no name."""

    __tablename__ = "suppressions"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    created_at: Mapped[datetime]


class PrivacyKey(Base):
    """A key that makes digests of persons, sealed. It never changes."""

    __tablename__ = "privacy_keys"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    sealed_key: Mapped[bytes]
