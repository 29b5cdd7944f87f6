"""The keys of providers: what a person or a program can do with them. No secret comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from sisgate.access.policy import Action
from sisgate.audit import log as audit
from sisgate.credentials import keys
from sisgate.credentials.stored_tokens import StoredTokens
from sisgate.credentials.usage import usage_of
from sisgate.domain.secret import HoldsSecret
from sisgate.domain.states import KeyState
from sisgate.domain.validation import aware, chosen
from sisgate.errors import BrokerUnavailable, InvalidState, UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.deprecated import called
from sisgate.gateway.key_info import KeyInfo, KeyUse, key_info, key_use
from sisgate.gateway.master_keys import MasterKeys
from sisgate.ledger.schema import Key, KeySlot
from sisgate.settings import ProviderConfig


class ProviderKeys:
    """Adds, stages, rotates and revokes the keys of one provider. Each change is audited.

    Calls read their key from the ledger, so a change holds for the fleet with its commit. Methods
    raise `AccessDenied`, `DatabaseUnavailable`, and `UsageError` for a key that is not there.
    """

    def __init__(self, core: Core, config: ProviderConfig) -> None:
        self._core = core
        self._tokens = StoredTokens(core.redis)
        self._config = config

    def add(
        self,
        client_id: str,
        secret: HoldsSecret,
        *,
        slot: str = "primary",
        expires_at: datetime | None = None,
        actor: str,
        reason: str | None = None,
    ) -> KeyInfo:
        """Store a key and use it at once; the active one before it drains for the overlap.

        Nothing tries it out first; `stage` and `rotate` do.
        """
        return self._store(client_id, secret, slot, expires_at, actor, reason, stage=False)

    def stage(
        self,
        client_id: str,
        secret: HoldsSecret,
        *,
        slot: str = "primary",
        expires_at: datetime | None = None,
        actor: str,
        reason: str | None = None,
    ) -> KeyInfo:
        """Store a key for the next rotation of its slot. One that was staged there is revoked.

        That one is told in `destroyed`, as with `rollback`.
        """
        return self._store(client_id, secret, slot, expires_at, actor, reason, stage=True)

    def list(self, *, all_states: bool = False) -> Sequence[KeyInfo]:
        """Return the keys, newest first; with `all_states` also those that have ended."""
        self._core.access.require(Action.KEYS, self._config.name)
        with self._core.database.read() as session:
            found = keys.list_keys(session, self._config.name)
        infos = [key_info(key) for key in found]
        return [info for info in infos if all_states or not info.state.is_final]

    def usage(self) -> Sequence[KeyUse]:
        """Return how each key was used, also those that have ended, newest first."""
        self._core.access.require(Action.KEYS, self._config.name)
        now = self._core.clock.now()
        with self._core.database.read() as session:
            found = keys.list_keys(session, self._config.name)
            uses = usage_of(session, self._config.name)
        return [key_use(key, uses.get(key.id), now) for key in found]

    def rotate(self, *, slot: str = "primary", actor: str, reason: str | None = None) -> None:
        """Begin a rotation now: with the staged key, else with one of the provider's source.

        `InvalidState` where there is neither. Beat carries it out within seconds.
        """
        with self._slot(slot, "rotate", actor, reason) as (session, row):
            staged = keys.keys_of(session, self._config.name, slot, (KeyState.STAGED,))
            if not staged and not self._config.rotation.has_source:
                raise InvalidState(
                    f"No new key is staged for the {slot} slot of {self._config.name}, and no "
                    f"source brings one. Run `sisgate keys stage {self._config.name}` first."
                )
            for key in staged:
                key.ordered, key.next_probe_at, key.probes_failed = True, None, 0
            if not staged:
                row.requested_at, row.not_before = self._core.clock.now(), None

    def promote(self, key_id: str, *, actor: str, reason: str | None = None) -> KeyInfo:
        """Make a staged or draining key the active one now, without its canary."""
        with self._key(key_id, "promote", actor, reason) as (session, key):
            allowed = {KeyState.STAGED, KeyState.CANARY, KeyState.DRAINING}
            if KeyState(key.state) not in allowed:
                raise InvalidState(f"Key {key.id[:8]} is {key.state}; it cannot be promoted.")
            keys.activate(session, key, self._core.clock.now(), self._config.rotation.overlap)
            return key_info(key)

    def rollback(self, *, slot: str = "primary", actor: str, reason: str | None = None) -> KeyInfo:
        """Take the last rotation of a slot back and return the key that is active then.

        A staged key or canary is revoked. Without one, the draining key becomes active again and
        the one that had replaced it drains. `InvalidState` where there is nothing to take back.
        """
        now = self._core.clock.now()
        told: dict[str, str] = {}
        with self._slot(slot, "rollback", actor, reason, told=told) as (session, row):
            row.requested_at = row.order_id = row.leased_until = None
            row.order_tries = 0
            name = self._config.name
            coming = keys.keys_of(session, name, slot, (KeyState.STAGED, KeyState.CANARY))
            active = keys.keys_of(session, name, slot, (KeyState.ACTIVE,))
            draining = keys.keys_of(session, name, slot, (KeyState.DRAINING,))
            for key in coming:
                keys.end(key, KeyState.REVOKED, now, "rolled back")
            if not coming and draining:
                newest = max(draining, key=lambda key: key.updated_at)
                keys.activate(session, newest, now, self._config.rotation.overlap)
                told["key"] = newest.id
                return key_info(newest)
            if not coming:
                raise InvalidState(
                    f"Nothing is under way in the {slot} slot of {name}, and its last key has "
                    "been retired: there is nothing to go back to."
                )
            return key_info((active or coming)[0], coming)

    def revoke(self, key_id: str, *, actor: str, reason: str | None = None) -> KeyInfo:
        """Destroy a key's secret now, for the whole fleet. It cannot be taken back.

        Requests that have left with it end as they end. Where the slot has a draining key it
        becomes active again; where the provider has no other key, its calls fail until one is
        added.
        """
        now = self._core.clock.now()
        with self._key(key_id, "revoke", actor, reason) as (_, key):
            if KeyState(key.state).is_final:
                raise InvalidState(f"Key {key.id[:8]} is {key.state} already.")
            keys.end(key, KeyState.REVOKED, now, reason or f"revoked by {actor}")
            info = key_info(key)
        self._drop_token(key.id)
        return info

    def _store(
        self,
        client_id: str,
        secret: HoldsSecret,
        slot: str,
        expires_at: datetime | None,
        actor: str,
        reason: str | None,
        *,
        stage: bool,
    ) -> KeyInfo:
        if not 0 < len(client_id) <= 255:
            raise UsageError("A client id has 1 to 255 characters.")
        expires_at = aware("expires_at", expires_at)
        vault, name = self._core.context.vault, self._config.name
        told: dict[str, str] = {}
        now, overlap = self._core.clock.now(), self._config.rotation.overlap
        act = "stage" if stage else "add"
        with self._slot(slot, act, actor, reason, told=told) as (session, _):
            words = (session, vault, name, client_id, secret, now)
            before: Sequence[Key] = ()
            if stage:
                before = keys.keys_of(session, name, slot, (KeyState.STAGED, KeyState.CANARY))
                key_id = keys.stage_key(*words, slot=slot, expires_at=expires_at)
            else:
                key_id = keys.add_key(*words, slot=slot, expires_at=expires_at, overlap=overlap)
            session.flush()
            told["key"] = key_id
            return key_info(session.get_one(Key, key_id), before)

    @contextmanager
    def _slot(
        self,
        slot: str,
        act: str,
        actor: str,
        reason: str | None,
        key_id: str | None = None,
        told: Mapping[str, str] | None = None,
    ) -> Iterator[tuple[Session, KeySlot]]:
        """Hold a slot for one change and audit it in the same transaction.

        `told` may learn meanwhile which `key` it is about.
        """
        principal = self._core.access.require(Action.KEYS, self._config.name)
        slot = chosen("slot", keys.SLOTS, slot)
        with self._core.database.write() as session:
            row = keys.lock_slot(session, self._config.name, slot)
            yield session, row
            audit.record(
                session,
                self._core.clock.now(),
                actor=principal.token_actor or actor,
                action=f"keys:{'key' if key_id else 'slot'}:{act}",
                subject=self._config.name,
                reason=reason,
                slot=slot,
                key=key_id or (told or {}).get("key"),
            )

    @contextmanager
    def _key(
        self, key_id: str, act: str, actor: str, reason: str | None
    ) -> Iterator[tuple[Session, Key]]:
        """Hold the slot of a key for one change of it."""
        with self._core.database.read() as session:
            found = keys.get_key(session, self._config.name, key_id)
        with self._slot(found.slot, act, actor, reason, found.id) as (session, _):
            yield session, session.get_one(Key, found.id, populate_existing=True)

    def _drop_token(self, key_id: str) -> None:
        try:
            self._tokens.drop(self._config.name, key_id)
        except BrokerUnavailable:
            # It is sealed, no call uses it, and it ends by itself.
            return


class Keys:
    """The keys of all providers, and the master keys that seal them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def of(self, provider: str) -> ProviderKeys:
        """Return the keys of a provider: add, stage, rotate, promote, roll back, revoke, usage."""
        return ProviderKeys(self._core, self._core.provider(provider))

    @property
    def master(self) -> MasterKeys:
        """The master keys: what each has sealed, and moving it all to the newest."""
        return MasterKeys(self._core)

    if not TYPE_CHECKING:  # so that a type checker finds the old calls
        __call__ = called("keys", "of")
