"""The keys of a provider in the ledger: storing, opening and moving them between states."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from sisgate.credentials.vault import Vault, master_id_of
from sisgate.domain.secret import HoldsSecret, Secret
from sisgate.domain.states import KeyState
from sisgate.errors import CredentialError, UsageError
from sisgate.ledger.schema import Key, KeySlot
from sisgate.ledger.statements import lock_or_make

Slot = Literal["primary", "secondary", "backup"]
SLOTS = get_args(Slot)
USABLE = (KeyState.ACTIVE.value, KeyState.DRAINING.value)
AT_ONCE = timedelta(0)


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


def lock_slot(session: Session, provider: str, slot: str) -> KeySlot:
    """Return the slot with its row locked. Changing the state of a key requires this lock."""
    return lock_or_make(session, KeySlot, provider=provider, slot=slot, order_tries=0)


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

    The key before it drains for the overlap, or is retired at once where there is none.
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


def keys_of(
    session: Session, provider: str, slot: str, states: Sequence[KeyState] = ()
) -> Sequence[Key]:
    """Return the keys of a slot, oldest first; with `states`, only those in one of them."""
    query = select(Key).where(Key.provider == provider, Key.slot == slot)
    if states:
        query = query.where(Key.state.in_([state.value for state in states]))
    return session.scalars(query.order_by(Key.created_at, Key.id)).all()


def list_keys(session: Session, provider: str | None = None) -> list[Key]:
    """Return the keys, newest first. Their secrets stay sealed."""
    query = select(Key).order_by(Key.provider, Key.created_at.desc())
    return list(session.scalars(query.where(Key.provider == provider) if provider else query))


def get_key(session: Session, provider: str, key_id: str) -> Key:
    """Return the key of a provider whose id begins with `key_id`; `UsageError` unless just one."""
    query = select(Key).where(Key.provider == provider, Key.id.startswith(key_id, autoescape=True))
    matches = session.scalars(query.limit(2)).all() if key_id else []
    if len(matches) != 1:
        raise UsageError(
            f"{'More than one key' if matches else 'No key'} of {provider} begins with "
            f"{key_id!r}. `sisgate keys list {provider}` shows them.",
            provider=provider,
        )
    return matches[0]


def activate(session: Session, key: Key, now: datetime, overlap: timedelta) -> None:
    """Make a key the active one of its slot; those it replaces drain for the overlap.

    The caller holds the slot.
    """
    session.flush()
    for other in keys_of(session, key.provider, key.slot, (KeyState.ACTIVE,)):
        if other.id != key.id:
            drain(other, now, overlap)
    key.state, key.updated_at, key.activated_at = KeyState.ACTIVE.value, now, now
    key.draining_until, key.ordered, key.probe_job, key.reason = None, False, None, None
    clear(key, now)


def drain(key: Key, now: datetime, overlap: timedelta) -> None:
    """Replace a key, but keep it for the overlap so that work in flight can finish."""
    if overlap <= AT_ONCE:
        end(key, KeyState.RETIRED, now, "replaced")
        return
    key.state, key.updated_at = KeyState.DRAINING.value, now
    key.draining_until = now + overlap


def end(key: Key, state: KeyState, now: datetime, reason: str) -> None:
    """Retire or revoke a key: its secret is destroyed."""
    assert state.is_final
    key.state, key.updated_at, key.reason = state.value, now, reason
    key.sealed_secret = b""
    key.ordered, key.probe_job, key.next_probe_at, key.suspect_at = False, None, None, None


def clear(key: Key, now: datetime) -> None:
    """Clear a suspicion after a call with the key has succeeded."""
    key.suspect_at, key.probe_job, key.next_probe_at, key.reason = None, None, None, None
    key.probes_failed, key.checked_at = 0, now


def suspect(session: Session, key_id: str, reason: str, now: datetime) -> bool:
    """Mark a key in use as refused by the provider; return whether that is new.

    One conditional UPDATE without the slot's lock: many calls meet a refused key at once.
    """
    result = session.execute(
        update(Key)
        .where(Key.id == key_id, Key.suspect_at.is_(None), Key.state.in_(USABLE))
        .values(suspect_at=now, reason=reason, probes_failed=0, next_probe_at=None)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


def usable_keys(session: Session, provider: str, now: datetime) -> list[Key]:
    """Return the keys to call with, best first; `CredentialError` if there is none.

    Suspect and expired keys come last but are included: a provider that refuses for a moment must
    not leave us without a key. Then by slot; within a slot, active before draining.
    """
    query = select(Key).where(Key.provider == provider, Key.state.in_(USABLE))
    usable = sorted(session.scalars(query), key=lambda key: _rank(key, now))
    if not usable:
        raise CredentialError(
            f"Provider {provider} has no key. Add one with `sisgate keys add {provider}`.",
            provider=provider,
        )
    return usable


def sealed_with(session: Session, providers: Sequence[str]) -> dict[str, set[str]]:
    """Return the ids of the master keys that sealed the usable keys of each provider."""
    query = select(Key.provider, Key.sealed_secret).where(
        Key.provider.in_(providers), Key.state.in_(USABLE)
    )
    masters: dict[str, set[str]] = {provider: set() for provider in providers}
    for provider, sealed in session.execute(query):
        masters[provider].add(master_id_of(sealed))
    return masters


def _rank(key: Key, now: datetime) -> tuple[bool, bool, int, bool, str]:
    is_expired = key.expires_at is not None and key.expires_at <= now
    is_draining = key.state == KeyState.DRAINING.value
    return key.suspect_at is not None, is_expired, SLOTS.index(key.slot), is_draining, key.id


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
