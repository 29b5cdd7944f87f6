"""Keys as processes hold them: their secrets are sealed when stored and opened when used."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.credentials.vault import Vault, master_id_of
from sisgate.domain.secret import HoldsSecret, Secret
from sisgate.domain.states import KeyState
from sisgate.ledger.keys import (
    AT_ONCE,
    activate,
    end,
    ever_had_one,
    keys_of,
    lock_slot,
    sealed_secrets,
)
from sisgate.ledger.schema import Key


@dataclass(frozen=True)
class Credential:
    """A key as held by the process that makes a call. Its repr shows no secret."""

    id: str
    provider: str
    client_id: str
    secret: Secret

    @property
    def label(self) -> str:
        """The key as messages name it: several keys may share a client id."""
        return f"key {self.id[:8]} (client id {self.client_id})"


@dataclass(frozen=True)
class NewKey:
    """A key that the provider accepts from now on. `expires_at` is aware, None for unknown."""

    client_id: str
    secret: HoldsSecret
    expires_at: datetime | None = None


def add_key(
    session: Session,
    vault: Vault,
    provider: str,
    new: NewKey,
    now: datetime,
    *,
    slot: str = "primary",
    overlap: timedelta = AT_ONCE,
) -> Key:
    """Store a key as the active one of its slot and return its row.

    The key before it drains for the overlap; without an overlap it is retired at once.
    """
    lock_slot(session, provider, slot)
    key = _insert(session, vault, provider, slot, new, now)
    activate(session, key, now, overlap)
    return key


def stage_key(
    session: Session,
    vault: Vault,
    provider: str,
    new: NewKey,
    now: datetime,
    *,
    slot: str = "primary",
    source: str = "hand",
    ordered: bool = False,
) -> tuple[Key, Sequence[Key]]:
    """Store a key for the next rotation of its slot; return its row and those it revokes.

    Revoked are the keys that were staged before. An `ordered` key is taken at once.
    """
    lock_slot(session, provider, slot)
    replaced = keys_of(session, provider, slot, (KeyState.STAGED, KeyState.CANARY))
    for key in replaced:
        end(key, KeyState.REVOKED, now, "another key was staged in its place")
    staged = _insert(session, vault, provider, slot, new, now)
    staged.source, staged.ordered = source, ordered
    return staged, replaced


def _insert(
    session: Session, vault: Vault, provider: str, slot: str, new: NewKey, now: datetime
) -> Key:
    key = Key(
        id=str(uuid.uuid4()),
        provider=provider,
        slot=slot,
        state=KeyState.STAGED.value,
        client_id=new.client_id,
        created_at=now,
        updated_at=now,
        expires_at=new.expires_at,
        probes_failed=0,
    )
    key.sealed_secret = vault.seal(new.secret.get_secret_value().encode(), context_of(key))
    session.add(key)
    return key


def sealed_with(session: Session, providers: Sequence[str]) -> dict[str, set[str] | None]:
    """Return the ids of the master keys that sealed the usable keys of each provider.

    None for one that has never had a key.
    """
    secrets = sealed_secrets(session, providers)
    without = [name for name, sealed in secrets.items() if not sealed]
    new = set(without) - ever_had_one(session, without) if without else set()
    return {
        name: None if name in new else {master_id_of(each) for each in sealed}
        for name, sealed in secrets.items()
    }


def open_key(vault: Vault, key: Key) -> Credential:
    """Return a key with its secret in plain text; `CredentialError` if it does not open."""
    plain = vault.open(key.sealed_secret, context_of(key), first_context=first_context_of(key))
    return Credential(key.id, key.provider, key.client_id, Secret(plain.decode()))


def context_of(key: Key) -> str:
    """Return what a key's secret is bound to: moved to another provider, it does not open."""
    return f"keys/{key.id}/{key.provider}/{key.client_id}"


def first_context_of(key: Key) -> str:
    """Return what it was bound to in format 1."""
    return f"keys/{key.id}"
