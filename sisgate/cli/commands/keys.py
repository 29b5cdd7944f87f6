"""`sisgate keys`: the providers' credentials and the master key. No secret is ever an argument."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.commands import master_keys
from sisgate.cli.formats import moment, state
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import (
    ClientId,
    MaybeProvider,
    Provider,
    Reason,
    SecretEnv,
    SecretFile,
    entered_client_id,
    entered_secret,
    time_ahead,
)
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns
from sisgate.domain.choices import Slot
from sisgate.domain.secret import Secret

if TYPE_CHECKING:
    from sisgate.client.keys import HttpProviderKeys
    from sisgate.gateway import KeyInfo
    from sisgate.gateway.keys import ProviderKeys

REASON_LENGTH = 160
"""Characters shown of a provider's message."""


def key_columns(now: datetime) -> Columns:
    """Return the columns of a table of keys."""
    return {
        "key": "id", "provider": "provider", "slot": "slot", "state": _state,
        "client id": "client_id", "stored": "created_at",
        "life left": lambda key: life(key.expires_at - now if key.expires_at else None),
    }  # fmt: skip


def _state(key: KeyInfo) -> Text:
    text = state(key.state.value)
    if key.suspect_at is not None:
        text.append(" suspect", "red")
    if key.canary_failed_at is not None:
        text.append(" canary failed", "red")
    return text


def canary_failure(key: KeyInfo) -> str | None:
    """Return when and why a staged key's canary failed, and when the next one runs."""
    if key.canary_failed_at is None:
        return None
    why = shorten(key.reason or "", REASON_LENGTH, placeholder="…")
    again = f"at {moment(key.next_probe_at)}" if key.next_probe_at else "as soon as beat runs"
    return (
        f"Key {key.id[:8]}: its canary failed at {moment(key.canary_failed_at)}: "
        f"{why.rstrip('.')}. The next canary runs {again}."
    )


USAGE: Columns = {
    "key": lambda use: use.key.id, "slot": lambda use: use.key.slot,
    "state": lambda use: use.key.state,
    "calls": "calls", "errors": "errors", "429": "throttled", "refused": "refused",
    "last used": "last_used_at", "first refused": "first_refused_at",
    "last refused": "last_refused_at", "life left": lambda use: life(use.remaining),
}  # fmt: skip
"""Columns of the use of keys."""


def life(left: timedelta | None) -> Text:
    """Format the time left until a key expires.

    >>> str(life(timedelta(days=3, hours=5))), str(life(timedelta(hours=5))), str(life(None))
    ('3 d', '5 h', 'unknown')
    """
    if left is None:
        return Text("unknown", "dim")
    if left <= timedelta(0):
        return Text("expired", "red")
    days, seconds = left.days, left.seconds
    text = f"{days} d" if days else f"{seconds // 3600} h" if seconds >= 3600 else "under 1 h"
    return Text(text, "" if days >= 14 else "yellow")


app = Commands("keys", "Store, rotate and revoke the providers' keys.", panel="Set up")

OfSlot = Annotated[
    Slot, typer.Option("--slot", metavar="SLOT", help="primary, secondary or backup.")
]
Expires = Annotated[datetime | None, time_ahead("When it expires")]
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="Id of a key, or the beginning of one.")]
WAIT = "The rotation continues in the background: `sisgate keys list` shows its progress."


@app.add(
    "sisgate keys add skyward", "sisgate keys add skyward --client-id 41 --secret-file ./secret"
)
def add(
    invocation: Invocation,
    provider: Provider,
    client_id: ClientId = None,
    slot: OfSlot = "primary",
    secret_file: SecretFile = None,
    secret_env: SecretEnv = None,
    expires: Expires = None,
    reason: Reason = None,
) -> None:
    """Store a key and use it at once. The previous key drains."""
    keys = _keys(invocation, provider)
    client_id, secret = _entered(invocation, provider, client_id, secret_file, secret_env)
    info = keys.add(
        client_id, secret, slot=slot, expires_at=expires, actor=user_name(), reason=reason
    )
    _show(
        invocation.output,
        info,
        f"Stored as the {slot} key of {provider}. `sisgate doctor` tests it.",
    )


@app.add("sisgate keys stage skyward --client-id 42 --secret-file ./secret")
def stage(
    invocation: Invocation,
    provider: Provider,
    client_id: ClientId = None,
    slot: OfSlot = "primary",
    secret_file: SecretFile = None,
    secret_env: SecretEnv = None,
    expires: Expires = None,
    reason: Reason = None,
) -> None:
    """Store a key for the next rotation of its slot. No call uses it before."""
    keys = _keys(invocation, provider)
    client_id, secret = _entered(invocation, provider, client_id, secret_file, secret_env)
    info = keys.stage(
        client_id, secret, slot=slot, expires_at=expires, actor=user_name(), reason=reason
    )
    _show(invocation.output, info, f"Staged for the {slot} slot of {provider}.")
    invocation.output.note(
        f"`sisgate keys rotate {provider}` tests it and replaces the active one."
    )


@app.add("sisgate keys list --json", name="list")
def list_all(
    invocation: Invocation,
    provider: MaybeProvider = None,
    every: Annotated[bool, typer.Option("--all", help="Include retired and revoked keys.")] = False,
) -> None:
    """List stored keys, without their secrets."""
    keys = invocation.gateway.keys.list(provider, all_states=True)
    shown = [key for key in keys if every or not key.state.is_final]
    more = " `--all` shows retired and revoked keys." if keys else ""
    empty = f"No keys. Store one with `sisgate keys add PROVIDER`.{more}"
    invocation.output.table(shown, key_columns(invocation.clock.now()), empty=empty)
    for text in filter(None, map(canary_failure, shown)):
        invocation.output.show(text)


@app.add("sisgate keys usage skyward")
def usage(invocation: Invocation, provider: Provider) -> None:
    """Show the use of a provider's keys: calls, errors, 429s, refusals, time to expiry."""
    rows = invocation.gateway.keys.of(provider).usage()
    invocation.output.table(rows, USAGE, empty="No keys.")


@app.add("sisgate keys rotate skyward --slot secondary")
def rotate(
    invocation: Invocation, provider: Provider, slot: OfSlot = "primary", reason: Reason = None
) -> None:
    """Replace the key of a slot now with the staged key or one from the key source."""
    _keys(invocation, provider).rotate(slot=slot, actor=user_name(), reason=reason)
    request = {"provider": provider, "slot": slot, "requested": True}
    invocation.output.result(request, f"The {slot} key of {provider} will be rotated.")
    invocation.output.note(WAIT)


@app.add("sisgate keys promote skyward 3f8a")
def promote(invocation: Invocation, provider: Provider, key: KeyId, reason: Reason = None) -> None:
    """Make a staged or draining key active at once, without a canary."""
    info = _keys(invocation, provider).promote(key, actor=user_name(), reason=reason)
    _show(invocation.output, info, f"Key {info.id[:8]} is now the {info.slot} key of {provider}.")


@app.add("sisgate keys rollback skyward --reason 'reads no students'")
def rollback(
    invocation: Invocation, provider: Provider, slot: OfSlot = "primary", reason: Reason = None
) -> None:
    """Undo the last rotation while the old key drains."""
    info = _keys(invocation, provider).rollback(slot=slot, actor=user_name(), reason=reason)
    text = f"Key {info.id[:8]} of the {slot} slot of {provider} is {info.state}."
    _show(invocation.output, info, text)


@app.add("sisgate keys revoke skyward 3f8a --reason 'leaked'")
def revoke(invocation: Invocation, provider: Provider, key: KeyId, reason: Reason = None) -> None:
    """Destroy a key's secret for the whole fleet. This cannot be undone."""
    keys = _keys(invocation, provider)
    info = keys.revoke(key, actor=user_name(), reason=reason)
    _show(
        invocation.output,
        info,
        f"Key {info.id[:8]} of {provider} is revoked; its secret is destroyed.",
    )
    if not any(other.state in {"active", "draining"} for other in keys.list()):
        invocation.output.warn(
            f"{provider} has no other key: its calls fail until `sisgate keys add {provider}`. "
            f"`sisgate pause {provider}` lets them wait."
        )


def _keys(invocation: Invocation, provider: str) -> ProviderKeys | HttpProviderKeys:
    keys = invocation.gateway.keys.of(provider)
    keys.list()  # fail before prompting for a secret
    return keys


def _entered(
    invocation: Invocation,
    provider: str,
    client_id: str | None,
    file: Path | None,
    variable: str | None,
) -> tuple[str, Secret]:
    # A static bearer token has no client id.
    if invocation.gateway.providers.overview(provider).providers[0].auth == "bearer":
        client_id = client_id or "bearer"
    return entered_client_id(client_id), entered_secret(file, variable)


def _show(output: Presenter, info: KeyInfo, text: str) -> None:
    """Show the change of a key, and the staged keys that it destroyed."""
    output.result(info, text)
    for key in info.destroyed:
        output.warn(f"The staged key {key[:8]} of this slot is revoked; its secret is destroyed.")


app.add_typer(master_keys.app)
