"""Files of certificates and keys for TLS: whether they can be used, before OpenSSL stumbles."""

from __future__ import annotations

import ssl
from pathlib import Path

from sisgate.domain.network import Network


def authorities_problem(path: Path) -> str | None:
    """Return what is wrong with a file of trusted authorities (PEM), or None."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=str(path))
    except ssl.SSLError:
        return f"{path} holds no certificates in PEM form"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def certificate_problem(
    certificate: Path, key: Path | None, password: str | None = None
) -> str | None:
    """Return what is wrong with a client certificate and its key (PEM), or None.

    Without `key` the key is in the file of the certificate. A key that is encrypted needs its
    password: OpenSSL would ask the terminal for it, and wait.
    """
    for path in (certificate, key):
        if path is not None and (what := _unreadable(path)):
            return what
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asked: list[bool] = []

    def no_password() -> str:
        asked.append(True)
        return ""

    try:
        context.load_cert_chain(certificate, key, password=password or no_password)
    except (ssl.SSLError, ValueError):
        if asked:
            return f"the key in {key or certificate} is encrypted: give it without a password"
        return f"{certificate} and {key or 'the key in it'} are no certificate and its key in PEM"
    except OSError as error:
        return f"{certificate} cannot be read: {error.strerror}"
    return None


def network_problem(network: Network) -> str | None:
    """Return what is wrong with the files that a provider is reached with, or None."""
    bundle = network.ca_file
    # A folder is what OpenSSL's c_rehash makes; requests takes one as well.
    if bundle is not None and not bundle.is_dir() and (what := authorities_problem(bundle)):
        return f"ca_file: {what}"
    if network.client_cert is not None:
        what = certificate_problem(network.client_cert, network.client_key)
        return f"client_cert: {what}" if what else None
    return None


def _unreadable(path: Path) -> str | None:
    try:
        with path.open("rb"):
            return None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
