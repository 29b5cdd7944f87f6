"""The keys of a provider in the ledger."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sisgate.credentials.vault import Vault
from sisgate.domain.secret import HoldsSecret, Secret
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
    secret: Secret


def add_key(
    session: Session,
    vault: Vault,
    provider: str,
    client_id: str,
    secret: HoldsSecret,
    now: datetime,
    *,
    slot: str = "primary",
) -> str:
    """Store a key as the active one of its slot and return its id; the one before is retired."""
    retire = update(Key).where(Key.provider == provider, Key.slot == slot, Key.state == ACTIVE)
    session.execute(retire.values(state=RETIRED, sealed_secret=b"", updated_at=now))
    key_id = str(uuid.uuid4())
    key = Key(
        id=key_id,
        provider=provider,
        slot=slot,
        state=ACTIVE,
        client_id=client_id,
        created_at=now,
        updated_at=now,
    )
    key.sealed_secret = vault.seal(secret.get_secret_value().encode(), context_of(key))
    session.add(key)
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
    return open_key(vault, key)


def open_key(vault: Vault, key: Key) -> Credential:
    """Return a key with its secret in plain; `CredentialError` where that does not open."""
    plain = vault.open(key.sealed_secret, context_of(key), first_context=first_context_of(key))
    return Credential(key.id, key.provider, key.client_id, Secret(plain.decode()))


def context_of(key: Key) -> str:
    """Return what a key's secret is bound to: given to another provider it does not open."""
    return f"keys/{key.id}/{key.provider}/{key.client_id}"


def first_context_of(key: Key) -> str:
    """Return what it was bound to in format 1."""
    return f"keys/{key.id}"
