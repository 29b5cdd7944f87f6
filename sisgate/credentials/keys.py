"""The keys of a provider in the ledger: storing, opening, and moving from state to state."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from sisgate.credentials.vault import Vault, master_id_of
from sisgate.domain.secret import HoldsSecret, Secret
from sisgate.domain.states import KeyState
from sisgate.errors import CredentialError, UsageError
from sisgate.ledger.schema import Key, KeySlot
from sisgate.ledger.upserts import lock_or_make

SLOTS = ("primary", "secondary", "backup")
USABLE = (KeyState.ACTIVE.value, KeyState.DRAINING.value)
AT_ONCE = timedelta(0)


@dataclass(frozen=True)
class Credential:
    """A key as the process that makes a call holds it. Its repr shows no secret."""

    id: str
    provider: str
    client_id: str
    secret: Secret

    @property
    def label(self) -> str:
        """The key as messages name it: several keys may have one client id."""
        return f"key {self.id[:8]} (client id {self.client_id})"


def lock_slot(session: Session, provider: str, slot: str) -> KeySlot:
    """Return the slot with its row locked; whoever changes the state of a key holds this lock."""
    return lock_or_make(session, KeySlot, provider=provider, slot=slot, order_tries=0)


def add_key(
    session: Session,
    vault: Vault,
    provider: str,
    client_id: str,
    secret: HoldsSecret,
    now: datetime,
    *,
    slot: str = "primary",
    expires_at: datetime | None = None,
    overlap: timedelta = AT_ONCE,
) -> str:
    """Store a key as the active one of its slot and return its id.

    The one before it drains for the overlap, or is retired at once where there is none.
    """
    lock_slot(session, provider, slot)
    key = _new_key(vault, provider, slot, client_id, secret, now, expires_at)
    session.add(key)
    activate(session, key, now, overlap)
    return key.id


def stage_key(
    session: Session,
    vault: Vault,
    provider: str,
    client_id: str,
    secret: HoldsSecret,
    now: datetime,
    *,
    slot: str = "primary",
    expires_at: datetime | None = None,
    source: str = "hand",
    ordered: bool = False,
) -> str:
    """Store a key that is not used yet and return its id; the staged one before it is revoked.

    The next rotation of its slot takes it, at once if it is `ordered`.
    """
    lock_slot(session, provider, slot)
    for before in keys_of(session, provider, slot, (KeyState.STAGED, KeyState.CANARY)):
        end(before, KeyState.REVOKED, now, "another key was staged in its place")
    key = _new_key(vault, provider, slot, client_id, secret, now, expires_at)
    key.source, key.ordered = source, ordered
    session.add(key)
    return key.id


def _new_key(
    vault: Vault,
    provider: str,
    slot: str,
    client_id: str,
    secret: HoldsSecret,
    now: datetime,
    expires_at: datetime | None,
) -> Key:
    key = Key(
        id=str(uuid.uuid4()),
        provider=provider,
        slot=slot,
        state=KeyState.STAGED.value,
        client_id=client_id,
        created_at=now,
        updated_at=now,
        expires_at=expires_at,
        probes_failed=0,
    )
    key.sealed_secret = vault.seal(secret.get_secret_value().encode(), context_of(key))
    return key


def keys_of(
    session: Session, provider: str, slot: str, states: Sequence[KeyState] = ()
) -> Sequence[Key]:
    """Return the keys of a slot, the oldest first; in these states where some are given."""
    query = select(Key).where(Key.provider == provider, Key.slot == slot)
    if states:
        query = query.where(Key.state.in_([state.value for state in states]))
    return session.scalars(query.order_by(Key.created_at, Key.id)).all()


def list_keys(session: Session, provider: str | None = None) -> list[Key]:
    """Return the keys, newest first. Their secrets stay sealed."""
    query = select(Key).order_by(Key.provider, Key.created_at.desc())
    return list(session.scalars(query.where(Key.provider == provider) if provider else query))


def get_key(session: Session, provider: str, key_id: str) -> Key:
    """Return a key of a provider by its id or the beginning of it; `UsageError` where none fits."""
    query = select(Key).where(Key.provider == provider, Key.id.startswith(key_id, autoescape=True))
    found = session.scalars(query.limit(2)).all() if key_id else []
    if len(found) != 1:
        raise UsageError(
            f"{'No key' if not found else 'More than one key'} of {provider} begins with "
            f"{key_id!r}. `sisgate keys list {provider}` shows them.",
            provider=provider,
        )
    return found[0]


def activate(session: Session, key: Key, now: datetime, overlap: timedelta) -> list[str]:
    """Make a key the active one of its slot; return the ids of those that it replaces.

    They drain for the overlap. The caller holds the slot.
    """
    session.flush()
    replaced = [
        other
        for other in keys_of(session, key.provider, key.slot, (KeyState.ACTIVE,))
        if other.id != key.id
    ]
    for other in replaced:
        drain(other, now, overlap)
    key.state, key.updated_at, key.activated_at = KeyState.ACTIVE.value, now, now
    key.draining_until, key.ordered, key.probe_job, key.reason = None, False, None, None
    clear(key, now)
    return [other.id for other in replaced]


def drain(key: Key, now: datetime, overlap: timedelta) -> None:
    """Replace a key: it is kept for the overlap, so that work in flight may finish."""
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
    """Take a suspicion back, after a call with the key has succeeded."""
    key.suspect_at, key.probe_job, key.next_probe_at, key.reason = None, None, None, None
    key.probes_failed, key.checked_at = 0, now


def suspect(session: Session, key_id: str, reason: str, now: datetime) -> bool:
    """Note that the provider refused a key in use; return whether that is news.

    One conditional UPDATE, without the slot's lock: many calls meet a refused key at once.
    """
    noted = session.execute(
        update(Key)
        .where(Key.id == key_id, Key.suspect_at.is_(None), Key.state.in_(USABLE))
        .values(suspect_at=now, reason=reason, probes_failed=0, next_probe_at=None)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(noted, CursorResult)
    return noted.rowcount == 1


def usable_keys(session: Session, provider: str, now: datetime) -> list[Key]:
    """Return the keys to call with, the best first; `CredentialError` where there is none.

    Those that are suspect or expired come last, but they come: a provider that refuses for a
    moment must not leave us without a key. Then by slot; in a slot the active before the draining.
    """
    query = select(Key).where(Key.provider == provider, Key.state.in_(USABLE))
    found = sorted(session.scalars(query), key=lambda key: _rank(key, now))
    if not found:
        raise CredentialError(
            f"Provider {provider} has no key. Add one with `sisgate keys add {provider}`.",
            provider=provider,
        )
    return found


def sealed_with(session: Session, providers: Sequence[str]) -> dict[str, set[str]]:
    """Return by provider the ids of the master keys that its usable keys were sealed with."""
    query = select(Key.provider, Key.sealed_secret).where(
        Key.provider.in_(providers), Key.state.in_(USABLE)
    )
    found: dict[str, set[str]] = {provider: set() for provider in providers}
    for provider, sealed in session.execute(query):
        found[provider].add(master_id_of(sealed))
    return found


def _rank(key: Key, now: datetime) -> tuple[bool, bool, int, bool, str]:
    is_expired = key.expires_at is not None and key.expires_at <= now
    is_draining = key.state == KeyState.DRAINING.value
    return key.suspect_at is not None, is_expired, SLOTS.index(key.slot), is_draining, key.id


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
