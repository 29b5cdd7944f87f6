"""Where new keys come from: plug-ins in the entry-point group `sisgate.key_sources`."""

from __future__ import annotations

import json
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from sisgate.credentials.keys import Credential, NewKey
from sisgate.domain.secret import Secret
from sisgate.errors import ConfigurationError, KeySourceFailed
from sisgate.settings import ProviderConfig

__all__ = [
    "CommandSource", "KeyRequest", "KeySource", "NewKey", "read_new_key", "source_of",
]  # fmt: skip

GROUP = "sisgate.key_sources"


@dataclass(frozen=True)
class KeyRequest:
    """A request to a source.

    `id` stays the same when a request is repeated after a crash: return the same key again if you
    can, or the first one is left over at the provider. `current` is the active key of the slot,
    None if there is none. Finish within `seconds`.
    """

    id: str
    config: ProviderConfig
    slot: str
    current: Credential | None
    seconds: float


class KeySource(Protocol):
    """Gets new keys from a provider and hands old ones back.

    After a crash at any point, both methods are called again. They raise `KeySourceFailed`, whose
    message holds no secret; of anything else that is raised, only the class is reported.
    """

    def provision(self, request: KeyRequest) -> NewKey:
        """Return a new key. The current one must keep working through the overlap."""
        ...

    def deprovision(self, request: KeyRequest, client_id: str) -> None:
        """Make the provider stop accepting a key whose overlap is over; gone already is fine."""
        ...


class CommandSource:
    """A program that speaks JSON: the request on its stdin, the new key on its stdout.

    The request is `{"act", "order", "provider", "kind", "slot", "client_id"}`. `act` is `order` or
    `take_back`, `order` the id of the request, `client_id` that of the current key or of the one to
    take back. The reply to `order` is `{"client_id", "client_secret", "expires_at"}`, the last in
    ISO 8601 or left out.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        command = options.get("command")
        if not isinstance(command, list) or not command or not _are_texts(command):
            raise ConfigurationError(
                'The key source command needs its program: options = { command = ["…"] }.'
            )
        self._command: list[str] = command

    def provision(self, request: KeyRequest) -> NewKey:
        """Run the program for a new key."""
        current = request.current.client_id if request.current else None
        return read_new_key(self._run("order", request, current))

    def deprovision(self, request: KeyRequest, client_id: str) -> None:
        """Run the program to take a key back."""
        self._run("take_back", request, client_id)

    def _run(self, act: str, request: KeyRequest, client_id: str | None) -> str:
        message = {
            "act": act,
            "order": request.id,
            "provider": request.config.name,
            "kind": request.config.kind,
            "slot": request.slot,
            "client_id": client_id,
        }
        try:
            ended = subprocess.run(
                self._command,
                input=json.dumps(message),
                capture_output=True,
                text=True,
                timeout=request.seconds,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
            raise KeySourceFailed(
                f"The program {self._command[0]} could not be run: {type(error).__name__}."
            ) from None
        if ended.returncode != 0:
            # Do not quote its output: it may hold a secret.
            raise KeySourceFailed(f"The program {self._command[0]} ended with {ended.returncode}.")
        return ended.stdout


def read_new_key(text: str | bytes) -> NewKey:
    """Return the key in a JSON reply; `KeySourceFailed` if there is none."""
    try:
        reply = json.loads(text)
        client_id, secret = reply["client_id"], reply["client_secret"]
        expires = reply.get("expires_at")
        expires_at = datetime.fromisoformat(expires) if expires else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeySourceFailed("The answer of the key source holds no key.") from None
    if not _are_texts([client_id, secret]) or not client_id or not secret:
        raise KeySourceFailed("The answer of the key source holds no key.")
    if expires_at is not None and expires_at.tzinfo is None:
        raise KeySourceFailed("The expiry of a new key needs its zone.")
    return NewKey(client_id, Secret(secret), expires_at)


def source_of(config: ProviderConfig) -> KeySource:
    """Return a provider's source; `ConfigurationError` for none, or wrong options."""
    name = config.rotation.source
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if name not in installed:
        known = ", ".join(["hand", *sorted(installed)])
        raise ConfigurationError(
            f"rotation.source of {config.name} is {name!r}, and no such key source is installed. "
            f"There are: {known}."
        )
    source: KeySource = installed[name].load()(config.rotation.options)
    return source if hasattr(source, "provision") else _Renamed(source)


class _Renamed:
    """A source whose methods still have their former names, `order` and `take_back`."""

    def __init__(self, source: Any) -> None:
        name = type(source).__name__
        _warn(f"{name}.order and .take_back", f"{name}.provision and .deprovision")
        self.provision = source.order
        self.deprovision = source.take_back


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _warn(old: str, new: str) -> None:
    warnings.warn(
        f"{old} is now {new}; the old name goes with the next version.",
        DeprecationWarning,
        stacklevel=3,
    )


if not TYPE_CHECKING:  # so that a type checker reports the old name

    def __getattr__(name: str) -> Any:
        """Return what has an older name, for one version, with a `DeprecationWarning`."""
        if name != "Order":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        _warn("sources.Order", "sources.KeyRequest")
        return KeyRequest
