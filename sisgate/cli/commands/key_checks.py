"""What `sisgate doctor` says of a provider's keys: whether each works, and which expire soon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sisgate.cli.commands.findings import Finding, Grade
from sisgate.cli.screens import moment
from sisgate.clock import Clock
from sisgate.credentials.keys import list_keys, open_key, usable_keys
from sisgate.credentials.token_endpoint import fetch_token
from sisgate.credentials.vault import Vault
from sisgate.domain.states import KeyState
from sisgate.errors import ConfigurationError, CredentialError, ProviderUnavailable, SisgateError
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Key
from sisgate.settings import ProviderConfig


def keys_of_provider(
    database: Database, vault: Vault, config: ProviderConfig, clock: Clock
) -> Iterator[Finding]:
    """Yield a finding for each key that calls may use: a token is fetched with it where there are.

    The best one must work; of the others it is said before they are needed.
    """
    try:
        with database.read() as session:
            usable = usable_keys(session, config.name, clock.now())
    except CredentialError as error:
        yield Finding(f"{config.name} key", "fail", error.message)
        return
    for place, key in enumerate(usable):
        grade, what, remedy = _tried(vault, config, key, clock)
        if grade == "fail" and place > 0:
            grade = "warn"
        slot = f", {key.slot}" if len(usable) > 1 else ""
        if key.state == KeyState.DRAINING:
            slot += ", draining: a newer one has replaced it"
        label = f"key {key.id[:8]}{slot}, client id {key.client_id}"
        yield Finding(f"{config.name} key", grade, f"{label}: {what}", remedy)


def _tried(vault: Vault, config: ProviderConfig, key: Key, clock: Clock) -> tuple[Grade, str, str]:
    try:
        credential = open_key(vault, key)
        if config.token_endpoint is None:
            return "ok", "it opens", ""
        _, lifetime = fetch_token(config, credential, clock)
    except ConfigurationError as error:
        return "fail", error.message, f"Correct [providers.{config.name}], and restart the fleet."
    except SisgateError as error:
        remedy = (
            f"Check token_url ({config.token_endpoint}), auth and scope of "
            f"[providers.{config.name}], or replace the key: `sisgate keys stage {config.name}`."
        )
        if {"tls", "proxy_status"} & error.detail.keys():
            remedy = ""  # the message says what to do
        elif isinstance(error, ProviderUnavailable):
            remedy = f"Is it running, and can it be reached from here? {remedy}"
        return "fail", error.message, "" if isinstance(error, CredentialError) else remedy
    return "ok", f"{config.token_endpoint} gave a token for {lifetime:.0f} s", ""


def expiring(database: Database, config: ProviderConfig, now: datetime) -> Iterator[Finding]:
    """Yield a finding for each active key that expires within `rotation.warn_before`."""
    with database.read() as session:
        found = [
            key
            for key in list_keys(session, config.name)
            if key.state == KeyState.ACTIVE
            and key.expires_at is not None
            and key.expires_at - config.rotation.warn_before <= now
        ]
    by_hand = config.rotation.source == "hand"
    for key in found:
        assert key.expires_at is not None
        words = "has expired" if key.expires_at <= now else f"expires at {moment(key.expires_at)}"
        slot = f" --slot {key.slot}" if key.slot != "primary" else ""
        remedy = (
            f"sisgate keys stage {config.name}{slot}" if by_hand else "See `sisgate audit tail`."
        )
        yield Finding(
            f"{config.name} key", "warn", f"key {key.id[:8]} ({key.slot}) {words}", remedy
        )
