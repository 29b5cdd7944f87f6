"""How a provider is reached, and what is wrong with a TLS connection that fails."""

import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

UNKNOWN_NAME = "unknown_name"
"""The reason of an error if no address was found for the name of a host."""


@dataclass(frozen=True)
class Network:
    """The connection settings shared by all calls of a provider.

    `ca_file` replaces the public authorities; without `client_key`, the key is in the file of
    `client_cert`. `proxy` is a URL that may hold a password, so it is not in the repr.
    """

    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy for a URL, None for none.

        Plain http bypasses it: it is for test servers, and a proxy would see the key.

        >>> network = Network(proxy="http://proxy.test:8080", no_proxy=("lincoln.test",))
        >>> network.proxy_for("https://sis.test/x"), network.proxy_for("https://a.lincoln.test/x")
        ('http://proxy.test:8080', None)
        >>> network.proxy_for("http://sis.test/x")
        """
        parts = urlsplit(url)
        if self.proxy is None or parts.scheme != "https":
            return None
        host, port = (parts.hostname or "").lower(), parts.port or 443
        return None if any(_is_meant(host, port, name) for name in self.no_proxy) else self.proxy

    @property
    def proxy_place(self) -> str:
        """Host and port of the proxy, for messages."""
        parts = urlsplit(self.proxy or "")
        return f"{parts.hostname or ''}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def is_loopback(host: str) -> bool:
    """Whether a name or an address is that of this machine's loopback interface.

    >>> [
    ...     is_loopback(h)
    ...     for h in ("127.0.0.1", "::1", "localhost", "10.0.0.1", "localhost.test", "")
    ... ]
    [True, True, True, False, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_meant(host: str, port: int, name: str) -> bool:
    """Whether an entry of NO_PROXY (a name, with all below it, an address, a network, `*`) fits.

    >>> [_is_meant("a.lincoln.test", 443, n) for n in (".lincoln.test", "coln.test", "*")]
    [True, False, True]
    >>> [_is_meant("10.1.2.3", 443, n) for n in ("10.0.0.0/8", "10.1.2.3:443", "10.1.2.3:80")]
    [True, True, False]
    """
    name = name.strip().lower()
    if name == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        pass
    name, _, own_port = name.partition(":")
    if own_port and own_port != str(port):
        return False
    name = name.lstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


# Codes of X509_V_ERR_… in OpenSSL's x509_vfy.h, as `SSLCertVerificationError.verify_code` has them.
_EXPIRED = frozenset({10, 12})
_NOT_YET_VALID = frozenset({9, 11})
_WRONG_NAME = frozenset({62, 63, 64})
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 24, 27})
_REVOKED = frozenset({23})


class TlsFault(Enum):
    """Why a TLS connection failed. The value is for a sentence about the server."""

    EXPIRED = "its TLS certificate has expired"
    NOT_YET_VALID = "its TLS certificate is not valid yet: is this machine's clock right?"
    WRONG_NAME = "its TLS certificate is for another host name than the one in the URL"
    UNKNOWN_AUTHORITY = "its TLS certificate is signed by an authority that is not trusted here"
    REVOKED = "its TLS certificate was revoked"
    UNTRUSTED = "its TLS certificate cannot be trusted"
    NO_TLS = "it answered without TLS"
    TOO_OLD = "it speaks only versions or ciphers of TLS that are no longer considered safe"
    CLIENT_CERTIFICATE_MISSING = "it wants a client certificate"
    CLIENT_CERTIFICATE_REFUSED = "it refused our client certificate"
    FAILED = "the TLS handshake failed"

    @property
    def is_certificate(self) -> bool:
        """Whether the server's certificate was refused: then nothing was sent to it."""
        return self in {
            TlsFault.EXPIRED,
            TlsFault.NOT_YET_VALID,
            TlsFault.WRONG_NAME,
            TlsFault.UNKNOWN_AUTHORITY,
            TlsFault.REVOKED,
            TlsFault.UNTRUSTED,
        }


_BY_REASON: tuple[tuple[str, TlsFault], ...] = (
    ("CERTIFICATE_REQUIRED", TlsFault.CLIENT_CERTIFICATE_MISSING),
    ("UNKNOWN_CA", TlsFault.CLIENT_CERTIFICATE_REFUSED),
    ("BAD_CERTIFICATE", TlsFault.CLIENT_CERTIFICATE_REFUSED),
    ("CERTIFICATE_EXPIRED", TlsFault.CLIENT_CERTIFICATE_REFUSED),
    ("CERTIFICATE_UNKNOWN", TlsFault.CLIENT_CERTIFICATE_REFUSED),
    ("CERTIFICATE_REVOKED", TlsFault.CLIENT_CERTIFICATE_REFUSED),
    ("WRONG_VERSION_NUMBER", TlsFault.NO_TLS),
    ("RECORD_LAYER_FAILURE", TlsFault.NO_TLS),
    ("PACKET_LENGTH_TOO_LONG", TlsFault.NO_TLS),
    ("HTTP_REQUEST", TlsFault.NO_TLS),
    ("UNSUPPORTED_PROTOCOL", TlsFault.TOO_OLD),
    ("PROTOCOL_VERSION", TlsFault.TOO_OLD),
    ("NO_SHARED_CIPHER", TlsFault.TOO_OLD),
    ("DH_KEY_TOO_SMALL", TlsFault.TOO_OLD),
)
"""By a part of OpenSSL's reason; alerts carry the other side's verdict on us."""


def tls_fault(error: BaseException) -> TlsFault | None:
    """Return the TLS fault behind an error, or None.

    >>> tls_fault(ValueError("no TLS at all"))
    """
    for each in causes_of(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return _of_certificate(each.verify_code)
        if isinstance(each, ssl.CertificateError):
            return TlsFault.WRONG_NAME
        if isinstance(each, ssl.SSLError):
            reason = (each.reason or str(each)).upper().replace(" ", "_")
            return next((fault for part, fault in _BY_REASON if part in reason), TlsFault.FAILED)
    return None


_CURES = {
    TlsFault.EXPIRED: "Whoever runs the server has to renew its certificate; no setting helps.",
    TlsFault.NOT_YET_VALID: "Synchronise this machine's clock (chrony, systemd-timesyncd).",
    TlsFault.WRONG_NAME: "Write the name that the certificate is for into the URL, or have a "
    "certificate made for the name that is there.",
    TlsFault.REVOKED: "Whoever runs the server has to replace its certificate.",
    TlsFault.NO_TLS: "Check scheme and port of the URL: this port speaks no TLS.",
    TlsFault.TOO_OLD: "Whoever runs the server has to allow TLS 1.2 or 1.3.",
}


def cure(fault: TlsFault, *, ca_file: str, client_cert: str) -> str:
    """Return what to do; `ca_file` and `client_cert` are the settings that may help."""
    if fault in {TlsFault.UNKNOWN_AUTHORITY, TlsFault.UNTRUSTED}:
        return f"If it is a private authority's, name the file of that authority: {ca_file}."
    if fault in {TlsFault.CLIENT_CERTIFICATE_MISSING, TlsFault.CLIENT_CERTIFICATE_REFUSED}:
        return f"Name a certificate that it accepts, and its key: {client_cert}."
    return _CURES.get(fault, "Check the URL, and what the server's log says.")


def why_unreachable(error: BaseException) -> str:
    """Return why a server cannot be reached: what TLS says, else the class of the error.

    >>> why_unreachable(TimeoutError("… 10.0.0.1 …"))
    'TimeoutError'
    """
    fault = tls_fault(error)
    return fault.value if fault is not None else type(error).__name__


def _of_certificate(code: int) -> TlsFault:
    if code in _EXPIRED:
        return TlsFault.EXPIRED
    if code in _NOT_YET_VALID:
        return TlsFault.NOT_YET_VALID
    if code in _WRONG_NAME:
        return TlsFault.WRONG_NAME
    if code in _UNKNOWN_AUTHORITY:
        return TlsFault.UNKNOWN_AUTHORITY
    return TlsFault.REVOKED if code in _REVOKED else TlsFault.UNTRUSTED


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The errors that led to one: causes, contexts, and those that libraries keep inside others."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inside = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        waiting += [one for one in inside if isinstance(one, BaseException)]
