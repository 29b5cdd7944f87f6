"""Where new keys come from: plug-ins under the entry points `sisgate.key_sources`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any, Protocol

from sisgate.credentials.keys import Credential
from sisgate.domain.secret import Secret
from sisgate.errors import ConfigurationError, KeySourceFailed
from sisgate.settings import ProviderConfig

GROUP = "sisgate.key_sources"


@dataclass(frozen=True)
class Order:
    """What a source is asked for.

    `id` is the same when the same order is repeated after a crash: give the same key again where
    you can, or the first one is left over at the provider. `current` is the active key of the slot,
    None where there is none. Be done within `seconds`.
    """

    id: str
    config: ProviderConfig
    slot: str
    current: Credential | None
    seconds: float


@dataclass(frozen=True)
class NewKey:
    """A key that the provider accepts from now on. `expires_at` is aware, None for unknown."""

    client_id: str
    secret: Secret
    expires_at: datetime | None = None


class KeySource(Protocol):
    """Brings new keys of a provider, and takes old ones back.

    Both methods are run again after a crash, at any point. They raise `KeySourceFailed`, whose
    message holds no secret; anything else that is raised is told by its class only.
    """

    def order(self, order: Order) -> NewKey:
        """Return a new key. The current one must go on working through the overlap."""
        ...

    def take_back(self, order: Order, client_id: str) -> None:
        """Make the provider accept a key no longer. Its overlap is over; do nothing if gone."""
        ...


class CommandSource:
    """A program that speaks JSON: the order on its stdin, the new key on its stdout.

    The order is `{"act", "order", "provider", "kind", "slot", "client_id"}`, where `act` is `order`
    or `take_back` and `client_id` that of the current key, or of the one to take back. The answer
    to `order` is `{"client_id", "client_secret", "expires_at"}`, the last ISO 8601 or left out.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        command = options.get("command")
        if not isinstance(command, list) or not command or not _are_texts(command):
            raise ConfigurationError(
                'The key source command needs its program: options = { command = ["…"] }.'
            )
        self._command: list[str] = command

    def order(self, order: Order) -> NewKey:
        """Run the program for a new key."""
        current = order.current.client_id if order.current else None
        return read_new_key(self._run("order", order, current))

    def take_back(self, order: Order, client_id: str) -> None:
        """Run the program to take a key back."""
        self._run("take_back", order, client_id)

    def _run(self, act: str, order: Order, client_id: str | None) -> str:
        words = {
            "act": act,
            "order": order.id,
            "provider": order.config.name,
            "kind": order.config.kind,
            "slot": order.slot,
            "client_id": client_id,
        }
        try:
            ended = subprocess.run(
                self._command,
                input=json.dumps(words),
                capture_output=True,
                text=True,
                timeout=order.seconds,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
            raise KeySourceFailed(
                f"The program {self._command[0]} could not be run: {type(error).__name__}."
            ) from None
        if ended.returncode != 0:
            # Its output is not quoted: nobody knows what it holds.
            raise KeySourceFailed(f"The program {self._command[0]} ended with {ended.returncode}.")
        return ended.stdout


def read_new_key(text: str | bytes) -> NewKey:
    """Return the key of a JSON answer; `KeySourceFailed` where it is none."""
    try:
        words = json.loads(text)
        client_id, secret = words["client_id"], words["client_secret"]
        expires = words.get("expires_at")
        expires_at = datetime.fromisoformat(expires) if expires else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeySourceFailed("The answer of the key source holds no key.") from None
    if not _are_texts([client_id, secret]) or not client_id or not secret:
        raise KeySourceFailed("The answer of the key source holds no key.")
    if expires_at is not None and expires_at.tzinfo is None:
        raise KeySourceFailed("The expiry of a new key needs its zone.")
    return NewKey(client_id, Secret(secret), expires_at)


def source_of(config: ProviderConfig) -> KeySource:
    """Return a provider's source; `ConfigurationError` where there is none or it refuses."""
    name = config.rotation.source
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(["hand", *sorted(found)])
        raise ConfigurationError(
            f"rotation.source of {config.name} is {name!r}, and no such key source is installed. "
            f"There are: {known}."
        )
    source: KeySource = found[name].load()(config.rotation.options)
    return source


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
