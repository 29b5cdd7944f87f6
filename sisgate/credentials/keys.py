"""The keys of a provider in the ledger."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sisgate.credentials.vault import Vault
from sisgate.errors import CredentialError
from sisgate.ledger.schema import Key

SLOTS = ("primary", "secondary", "backup")
ACTIVE, RETIRED = "active", "retired"


@dataclass(frozen=True)
class Credential:
    """A key as the process that makes a call holds it. Its repr shows no secret."""

    id: str
    provider: str
    client_id: str
    secret: SecretStr


def add_key(
    session: Session,
    vault: Vault,
    provider: str,
    client_id: str,
    secret: SecretStr,
    now: datetime,
    *,
    slot: str = "primary",
) -> str:
    """Store a key as the active one of its slot and return its id; the one before is retired."""
    retire = update(Key).where(Key.provider == provider, Key.slot == slot, Key.state == ACTIVE)
    session.execute(retire.values(state=RETIRED, sealed_secret=b"", updated_at=now))
    key_id = str(uuid.uuid4())
    sealed = vault.seal(secret.get_secret_value().encode(), _context(key_id))
    session.add(
        Key(
            id=key_id,
            provider=provider,
            slot=slot,
            state=ACTIVE,
            client_id=client_id,
            sealed_secret=sealed,
            created_at=now,
            updated_at=now,
        )
    )
    return key_id


def list_keys(session: Session, provider: str | None = None) -> list[Key]:
    """Return the keys, newest first. Their secrets stay sealed."""
    query = select(Key).order_by(Key.provider, Key.created_at.desc())
    return list(session.scalars(query.where(Key.provider == provider) if provider else query))


def active_key(session: Session, vault: Vault, provider: str) -> Credential:
    """Return the key to call with: the active one of the first slot that has one."""
    keys = session.scalars(select(Key).where(Key.provider == provider, Key.state == ACTIVE))
    by_slot = sorted(keys, key=lambda key: SLOTS.index(key.slot))
    if not by_slot:
        raise CredentialError(
            f"Provider {provider} has no key. Add one with `sisgate keys add {provider}`.",
            provider=provider,
        )
    key = by_slot[0]
    secret = vault.open(key.sealed_secret, _context(key.id)).decode()
    return Credential(key.id, provider, key.client_id, SecretStr(secret))


def _context(key_id: str) -> str:
    return f"keys/{key_id}"
