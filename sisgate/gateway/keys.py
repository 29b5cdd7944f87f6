"""Managing the providers' keys. No method returns a secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from sisgate.access.policy import Action
from sisgate.audit import log as audit
from sisgate.credentials.keys import NewKey, add_key, stage_key
from sisgate.credentials.stored_tokens import StoredTokens
from sisgate.domain.secret import HoldsSecret, Secret
from sisgate.domain.states import KeyState
from sisgate.domain.validation import aware, chosen
from sisgate.errors import BrokerUnavailable, InvalidState, UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.deprecated import called
from sisgate.gateway.key_info import KeyInfo, KeyUse, key_info, key_use
from sisgate.gateway.master_keys import MasterKeys
from sisgate.ledger import keys
from sisgate.ledger.keys import usage_of
from sisgate.ledger.schema import Key, KeySlot
from sisgate.settings import ProviderConfig

COMING = (KeyState.STAGED, KeyState.CANARY)


@dataclass
class _Change:
    """One change of a slot with a locked row. `key_id` is the key named in the audit log."""

    session: Session
    row: KeySlot
    key_id: str | None = None


class ProviderKeys:
    """Adds, stages, rotates and revokes the keys of one provider. Each change is audited.

    Calls read their key from the ledger, so a change applies to the fleet once committed.
    Methods raise `AccessDenied`, `DatabaseUnavailable`, and `UsageError` for an unknown key.
    """

    def __init__(self, core: Core, config: ProviderConfig) -> None:
        self._core = core
        self._config = config

    def add(
        self,
        client_id: str,
        secret: HoldsSecret | str,
        *,
        slot: str = "primary",
        expires_at: datetime | None = None,
        actor: str,
        reason: str | None = None,
    ) -> KeyInfo:
        """Store a key and use it at once; the previous one drains for the overlap.

        The key is not tested; for that, use `stage` and `rotate`.
        """
        new, overlap = _new_key(client_id, secret, expires_at), self._config.rotation.overlap
        vault, now = self._core.context.vault, self._core.clock.now()
        with self._slot(slot, "add", actor, reason) as change:
            key = add_key(
                change.session, vault, self._config.name, new, now, slot=slot, overlap=overlap
            )
            change.key_id = key.id
            change.session.flush()
            return key_info(key)

    def stage(
        self,
        client_id: str,
        secret: HoldsSecret | str,
        *,
        slot: str = "primary",
        expires_at: datetime | None = None,
        actor: str,
        reason: str | None = None,
    ) -> KeyInfo:
        """Store a key for the next rotation of its slot, and revoke any staged before.

        Their ids are in `destroyed`, as with `rollback`.
        """
        new = _new_key(client_id, secret, expires_at)
        vault, now = self._core.context.vault, self._core.clock.now()
        with self._slot(slot, "stage", actor, reason) as change:
            key, replaced = stage_key(change.session, vault, self._config.name, new, now, slot=slot)
            change.key_id = key.id
            change.session.flush()
            return key_info(key, replaced)

    def list(self, *, all_states: bool = False) -> Sequence[KeyInfo]:
        """Return the keys, newest first; with `all_states`, also retired and revoked ones."""
        self._core.access.require(Action.KEYS, self._config.name)
        with self._core.database.read() as session:
            infos = [key_info(key) for key in keys.list_keys(session, self._config.name)]
        return [info for info in infos if all_states or not info.state.is_final]

    def usage(self) -> Sequence[KeyUse]:
        """Return the use of each key, newest first, also of retired and revoked ones."""
        self._core.access.require(Action.KEYS, self._config.name)
        now = self._core.clock.now()
        with self._core.database.read() as session:
            uses = usage_of(session, self._config.name)
            rows = keys.list_keys(session, self._config.name)
            return [key_use(key, uses.get(key.id), now) for key in rows]

    def rotate(self, *, slot: str = "primary", actor: str, reason: str | None = None) -> None:
        """Begin a rotation now, with the staged key or one from the provider's source.

        Raises `InvalidState` without either. Beat performs it within seconds.
        """
        with self._slot(slot, "rotate", actor, reason) as change:
            staged = keys.keys_of(change.session, self._config.name, slot, (KeyState.STAGED,))
            if not staged and not self._config.rotation.has_source:
                raise InvalidState(
                    f"No new key is staged for the {slot} slot of {self._config.name}, and no "
                    f"source provides one. Run `sisgate keys stage {self._config.name}` first."
                )
            for key in staged:
                key.ordered, key.next_probe_at, key.probes_failed = True, None, 0
            if not staged:
                change.row.requested_at, change.row.not_before = self._core.clock.now(), None

    def promote(self, key_id: str, *, actor: str, reason: str | None = None) -> KeyInfo:
        """Make a staged or draining key active now, without a canary."""
        with self._key(key_id, "promote", actor, reason) as (session, key):
            if KeyState(key.state) not in {*COMING, KeyState.DRAINING}:
                raise InvalidState(f"Key {key.id[:8]} is {key.state}; it cannot be promoted.")
            keys.activate(session, key, self._core.clock.now(), self._config.rotation.overlap)
            return key_info(key)

    def rollback(self, *, slot: str = "primary", actor: str, reason: str | None = None) -> KeyInfo:
        """Undo the last rotation of a slot and return the key that is then active.

        Revokes a staged key or canary. Without one, the draining key becomes active again and its
        successor drains. Raises `InvalidState` if there is nothing to undo.
        """
        now, name = self._core.clock.now(), self._config.name
        with self._slot(slot, "rollback", actor, reason) as change:
            row, session = change.row, change.session
            row.requested_at = row.order_id = row.leased_until = None
            row.order_tries = 0
            coming = keys.keys_of(session, name, slot, COMING)
            active = keys.keys_of(session, name, slot, (KeyState.ACTIVE,))
            draining = keys.keys_of(session, name, slot, (KeyState.DRAINING,))
            for key in coming:
                keys.end(key, KeyState.REVOKED, now, "rolled back")
            if coming:
                return key_info((active or coming)[0], coming)
            if not draining:
                raise InvalidState(
                    f"No rotation is under way in the {slot} slot of {name}, and its last key has "
                    "been retired: there is nothing to undo."
                )
            newest = max(draining, key=lambda key: key.updated_at)
            keys.activate(session, newest, now, self._config.rotation.overlap)
            change.key_id = newest.id
            return key_info(newest)

    def revoke(self, key_id: str, *, actor: str, reason: str | None = None) -> KeyInfo:
        """Destroy a key's secret now, for the whole fleet. This cannot be undone.

        Requests already sent with it finish. A draining key of the slot becomes active again; if
        the provider has no other key, its calls fail until one is added.
        """
        now = self._core.clock.now()
        with self._key(key_id, "revoke", actor, reason) as (_, key):
            if KeyState(key.state).is_final:
                raise InvalidState(f"Key {key.id[:8]} is already {key.state}.")
            keys.end(key, KeyState.REVOKED, now, reason or f"revoked by {actor}")
            info = key_info(key)
        # A token left in Redis is sealed and unused, and it expires.
        with suppress(BrokerUnavailable):
            StoredTokens(self._core.redis).drop(self._config.name, info.id)
        return info

    @contextmanager
    def _slot(
        self, slot: str, act: str, actor: str, reason: str | None, key_id: str | None = None
    ) -> Iterator[_Change]:
        """Lock a slot for one change, and audit it in the same transaction.

        `key_id` is the changed key, None for a change of the slot.
        """
        principal = self._core.access.require(Action.KEYS, self._config.name)
        slot = chosen("slot", keys.SLOTS, slot)
        with self._core.database.write() as session:
            change = _Change(session, keys.lock_slot(session, self._config.name, slot), key_id)
            yield change
            audit.record(
                session,
                self._core.clock.now(),
                actor=principal.token_actor or actor,
                action=f"keys:{'key' if key_id else 'slot'}:{act}",
                subject=self._config.name,
                reason=reason,
                slot=slot,
                key=change.key_id,
            )

    @contextmanager
    def _key(
        self, key_id: str, act: str, actor: str, reason: str | None
    ) -> Iterator[tuple[Session, Key]]:
        """Lock the slot of a key for one change of the key."""
        # Before the key is looked up: who may not change it does not learn whether it exists.
        self._core.access.require(Action.KEYS, self._config.name)
        with self._core.database.read() as session:
            key = keys.get_key(session, self._config.name, key_id)
        with self._slot(key.slot, act, actor, reason, key.id) as change:
            yield change.session, change.session.get_one(Key, key.id, populate_existing=True)


def _new_key(client_id: str, secret: HoldsSecret | str, expires_at: datetime | None) -> NewKey:
    if not 0 < len(client_id) <= 255:
        raise UsageError("A client id has 1 to 255 characters.")
    held = Secret(secret) if isinstance(secret, str) else secret
    return NewKey(client_id, held, aware("expires_at", expires_at))


class Keys:
    """The keys of all providers, and the master keys that seal them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def of(self, provider: str) -> ProviderKeys:
        """Return the keys of a provider."""
        return ProviderKeys(self._core, self._core.provider(provider))

    def list(self, provider: str | None = None, *, all_states: bool = False) -> Sequence[KeyInfo]:
        """Return the keys of one provider or of all that the caller may see, newest first.

        With `all_states`, also retired and revoked ones.
        """
        if provider is not None:
            return self.of(provider).list(all_states=all_states)
        access = self._core.access
        access.require_role(Action.KEYS)
        with self._core.database.read() as session:
            infos = [key_info(key) for key in keys.list_keys(session)]
        return [
            info
            for info in infos
            if access.allows(Action.KEYS, info.provider) and (all_states or not info.state.is_final)
        ]

    @property
    def master(self) -> MasterKeys:
        """The master keys."""
        return MasterKeys(self._core)

    if not TYPE_CHECKING:  # so that a type checker reports the old calls
        __call__ = called("keys", "of")
