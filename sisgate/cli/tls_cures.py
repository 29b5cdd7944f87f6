"""What to do about a TLS connection that does not come about."""

from __future__ import annotations

from sisgate.domain.tls import TlsFault

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
