"""The keys of providers over HTTP. No answer has a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sisgate.client.connection import Connection
from sisgate.client.paths import keys_path
from sisgate.client.reading import reads_answers
from sisgate.client.values import text_of, value_of
from sisgate.credentials.sealed import Progress
from sisgate.domain.secret import HoldsSecret
from sisgate.gateway.key_info import KeyInfo, KeyUse
from sisgate.gateway.master_keys import MasterKeyUse


@reads_answers
class HttpKeys:
    """`gateway.keys` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def master(self) -> HttpMasterKeys:
        """The master keys of the service."""
        return HttpMasterKeys(self._connection)

    def of(self, provider: str) -> HttpProviderKeys:
        """Return the keys of a provider."""
        return HttpProviderKeys(self._connection, provider)

    def list(self, provider: str | None = None, *, all_states: bool = False) -> Sequence[KeyInfo]:
        """Return the keys of one provider, or of all whose keys the caller may manage."""
        path = "/v1/keys" if provider is None else keys_path(provider)
        found = self._connection.get(path, {"all_states": str(all_states).lower()})["keys"]
        return [_info(each) for each in found]


@reads_answers
class HttpMasterKeys:
    """The master keys, which are made and removed where they are; see `MasterKeys`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> list[MasterKeyUse]:
        """Return the keys, newest first, then the missing ones; `origin` as the service has it."""
        return value_of(list[MasterKeyUse], self._connection.get("/v1/master-keys")["keys"])

    def rewrap(self, *, actor: str | None = None, reason: str | None = None) -> Iterator[Progress]:
        """Re-seal everything with the newest master key, and yield after each batch."""
        lines = self._connection.lines(
            "/v1/master-keys/rewrap", method="POST", body={"reason": reason}, may_repeat=False
        )
        return (value_of(Progress, json.loads(line)) for line in lines)


@reads_answers
class HttpProviderKeys:
    """The keys of one provider; see `ProviderKeys`."""

    def __init__(self, connection: Connection, provider: str) -> None:
        self._connection = connection
        self._provider = provider
        self._path = keys_path(provider)

    def list(self, *, all_states: bool = False) -> Sequence[KeyInfo]:
        """Return the keys, newest first; with `all_states` also those that have ended."""
        return HttpKeys(self._connection).list(self._provider, all_states=all_states)

    def usage(self) -> Sequence[KeyUse]:
        """Return how each key was used, newest first."""
        uses = self._connection.get(f"{self._path}/usage")["keys"]
        return [_use(each) for each in uses]

    def add(
        self,
        client_id: str,
        secret: HoldsSecret | str,
        *,
        slot: str = "primary",
        expires_at: datetime | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> KeyInfo:
        """Store a key and use it at once."""
        return self._store(client_id, secret, slot, expires_at, reason, stage=False)

    def stage(
        self,
        client_id: str,
        secret: HoldsSecret | str,
        *,
        slot: str = "primary",
        expires_at: datetime | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> KeyInfo:
        """Store a key for the next rotation."""
        return self._store(client_id, secret, slot, expires_at, reason, stage=True)

    def rotate(
        self, *, slot: str = "primary", actor: str | None = None, reason: str | None = None
    ) -> None:
        """Begin a rotation with the staged key, or one from the provider's source."""
        self._connection.post(f"{self._path}/rotate", {"slot": slot, "reason": reason})

    def rollback(
        self, *, slot: str = "primary", actor: str | None = None, reason: str | None = None
    ) -> KeyInfo:
        """Undo the last rotation of a slot, and return the key that is then active."""
        body = {"slot": slot, "reason": reason}
        return _info(self._connection.post(f"{self._path}/rollback", body))

    def promote(
        self, key_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> KeyInfo:
        """Make a staged or draining key active now."""
        return self._changed(key_id, "promote", reason)

    def revoke(
        self, key_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> KeyInfo:
        """Destroy a key's secret now. This cannot be undone."""
        return self._changed(key_id, "revoke", reason)

    def _changed(self, key_id: str, how: str, reason: str | None) -> KeyInfo:
        path = f"{keys_path(self._provider, key_id)}/{how}"
        return _info(self._connection.post(path, {"reason": reason}))

    def _store(
        self,
        client_id: str,
        secret: HoldsSecret | str,
        slot: str,
        expires_at: datetime | None,
        reason: str | None,
        *,
        stage: bool,
    ) -> KeyInfo:
        plain = secret if isinstance(secret, str) else secret.get_secret_value()
        body = {
            "client_id": client_id, "secret": plain, "slot": slot, "stage": stage,
            "expires_at": text_of("expires_at", expires_at), "reason": reason,
        }  # fmt: skip
        return _info(self._connection.post(self._path, body))


def _info(document: Mapping[str, Any]) -> KeyInfo:
    return value_of(KeyInfo, {**document, "id": document["key"]})


def _use(document: Mapping[str, Any]) -> KeyUse:
    left = document["remaining_seconds"]
    values = {**document, "key": _info(document), "remaining": left and timedelta(seconds=left)}
    return value_of(KeyUse, values)
