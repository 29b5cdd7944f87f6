"""Checks of one provider: its keys, its endpoints, and whether it takes calls."""

from collections.abc import Iterator
from datetime import datetime

from sisgate.credentials.keys import open_key
from sisgate.credentials.token_endpoint import fetch_token
from sisgate.credentials.vault import Vault
from sisgate.domain.moments import local_time
from sisgate.domain.states import KeyState
from sisgate.errors import ConfigurationError, CredentialError, ProviderUnavailable, SisgateError
from sisgate.gateway.core import Core
from sisgate.gateway.diagnosis.result import DiagnosticResult, Grade
from sisgate.gateway.hold import Hold
from sisgate.ledger.keys import list_keys, usable_keys
from sisgate.ledger.schema import Key
from sisgate.settings import ProviderConfig
from sisgate.transport import Transport


def keys(core: Core, config: ProviderConfig, vault: Vault) -> Iterator[DiagnosticResult]:
    """Yield a result for each usable key, fetching a token with it if the provider has tokens.

    The first key must work; a fault of the others is a warning.
    """
    try:
        with core.database.read() as session:
            usable = usable_keys(session, config.name, core.clock.now())
    except CredentialError as error:
        yield DiagnosticResult(f"{config.name} key", "fail", error.message)
        return
    for place, key in enumerate(usable):
        grade, what, remedy = _tried(core, vault, config, key)
        if grade == "fail" and place > 0:
            grade = "warn"
        slot = f", {key.slot}" if len(usable) > 1 else ""
        if key.state == KeyState.DRAINING:
            slot += ", draining: a newer key has replaced it"
        label = f"key {key.id[:8]}{slot}, client id {key.client_id}"
        yield DiagnosticResult(f"{config.name} key", grade, f"{label}: {what}", remedy)


def _tried(
    core: Core, vault: Vault, config: ProviderConfig, key: Key
) -> tuple[Grade, str, str | None]:
    try:
        credential = open_key(vault, key)
        if config.token_endpoint is None:
            return "ok", "it opens", None
        _, lifetime = fetch_token(config, credential, core.clock)
    except ConfigurationError as error:
        return "fail", error.message, f"Correct [providers.{config.name}], and restart the fleet."
    except SisgateError as error:
        remedy: str | None = (
            f"Check token_url ({config.token_endpoint}), auth and scope of "
            f"[providers.{config.name}], or replace the key: `sisgate keys stage {config.name}`."
        )
        if {"tls", "proxy_status"} & error.detail.keys():
            remedy = None  # the message says what to do
        elif isinstance(error, ProviderUnavailable):
            remedy = (
                f"The key was not judged. Check that {config.token_endpoint} runs and can be "
                f"reached from here, and token_url of [providers.{config.name}]."
            )
        return "fail", error.message, None if isinstance(error, CredentialError) else remedy
    return "ok", f"{config.token_endpoint} gave a token for {lifetime:.0f} s", None


def expiring_keys(core: Core, config: ProviderConfig) -> Iterator[DiagnosticResult]:
    """Yield a result for each active key that expires within `rotation.warn_before`."""
    now = core.clock.now()
    with core.database.read() as session:
        expiring = [
            key
            for key in list_keys(session, config.name)
            if key.state == KeyState.ACTIVE
            and key.expires_at is not None
            and key.expires_at - config.rotation.warn_before <= now
        ]
    by_hand = config.rotation.source == "hand"
    for key in expiring:
        assert key.expires_at is not None
        text = (
            "has expired" if key.expires_at <= now else f"expires at {local_time(key.expires_at)}"
        )
        slot = f" --slot {key.slot}" if key.slot != "primary" else ""
        remedy = (
            f"sisgate keys stage {config.name}{slot}" if by_hand else "See `sisgate audit tail`."
        )
        yield DiagnosticResult(
            f"{config.name} key", "warn", f"key {key.id[:8]} ({key.slot}) {text}", remedy
        )


def endpoints(
    config: ProviderConfig, transport: Transport, now: datetime, *, works: bool = True
) -> Iterator[DiagnosticResult]:
    """Yield whether each endpoint accepts connections. Sends nothing and spends no permit.

    Workers do not trust an untrusted certificate either, but may reach a server that is unreachable
    from here, unless no key `works` from here.
    """
    network, subject = config.network, f"{config.name} endpoint"
    for endpoint in config.endpoints:
        try:
            certificate = transport.connect(endpoint.url, network)
        except ProviderUnavailable as error:
            is_certain = "tls" in error.detail or not error.detail.get("reason")
            grade: Grade = "fail" if is_certain or not works else "warn"
            what, remedy = error.message, None
            if not is_certain:
                what = f"cannot be reached from here. {what}"
                remedy = (
                    "Check the URL, that it runs, and the way there (DNS, firewall, proxy). What "
                    "waits goes on by itself once it answers."
                )
            yield DiagnosticResult(subject, grade, f"{endpoint.url}: {what}", remedy)
            continue
        is_tls = endpoint.url.startswith("https")
        how = "TLS, its certificate is trusted" if is_tls else "no TLS"
        if is_tls and network.ca_file is not None:
            how += f" by {network.ca_file}"
        if network.proxy_for(endpoint.url) is not None:
            how += f", by the proxy {network.proxy_place}"
        if certificate is None or certificate.told_from > now:
            yield DiagnosticResult(subject, "ok", f"{endpoint.url}: {how}")
            continue
        how += f", and expires at {local_time(certificate.ends_at)}: no call can be made then"
        remedy = f"Ask the operator of {config.name} to renew it."
        yield DiagnosticResult(subject, "warn", f"{endpoint.url}: {how}", remedy)


def held(config: ProviderConfig, hold: Hold | None) -> Iterator[DiagnosticResult]:
    """Yield a result if a provider takes no calls now."""
    if hold is not None:
        what = f"takes no calls: {hold.explanation(config.name)}"
        yield DiagnosticResult(config.name, "warn", what)
