"""Certificates made for a test, and TLS in front of a server that speaks none."""

import contextlib
import ipaddress
import socket
import ssl
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sisgate.clock import SystemClock
from testbed.relay import Relay, cut, exchange

HANDSHAKE = 0x16
"""The first byte of a TLS record that begins a handshake."""


class Authority:
    """A private certificate authority; its own certificate is in `file`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(f"sisgate test {name}")
        self.file = folder / f"{name}.pem"
        certificate = (
            self._certificate(self._name, self._key.public_key(), timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        expired: bool = False,
        ends_in: timedelta = timedelta(days=2),
        password: str | None = None,
    ) -> Path:
        """Return a file with a certificate for a host name or IP address, and its key.

        It is good for a server and for a client. With a password the key is encrypted by it.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._certificate(
            _named(name), key.public_key(), timedelta(hours=-1) if expired else ends_in
        )
        alternative = x509.SubjectAlternativeName([_alternative(name)])
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            builder.add_extension(alternative, critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            encryption = serialization.BestAvailableEncryption(password.encode())
        form = serialization.PrivateFormat.PKCS8
        path = self._folder / f"{name}{'-expired' if expired else ''}.pem"
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, form, encryption)
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return path

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, ends_in: timedelta
    ) -> x509.CertificateBuilder:
        now = SystemClock().now()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + ends_in)
        )


def server_context(certificate: Path, *, clients_of: Authority | None = None) -> ssl.SSLContext:
    """Return what a server needs; with `clients_of` it wants certificates of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients_of.file)
    return context


class TlsProxy(Relay):
    """TLS in front of a port of the loopback interface. What it saw of its clients is counted."""

    def __init__(self, target: int, context: ssl.SSLContext) -> None:
        self.accepted = 0
        self.refused: list[str] = []
        self.plain: list[bytes] = []
        self._target = target
        self._context = context
        self._open: set[socket.socket] = set()
        super().__init__()

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            cut(each)
        super().__exit__()

    def serve(self, client: socket.socket) -> None:
        """Pass on what a client sends after a handshake; note it if there is none."""
        client.settimeout(10)  # for the handshake
        first = client.recv(64, socket.MSG_PEEK)
        if first and first[0] != HANDSHAKE:
            self.plain.append(first)
            return
        inner = self._context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        try:
            inner.do_handshake()
        except (OSError, ssl.SSLError) as error:
            self.refused.append(str(error))
            _drain(inner)
            return
        self.accepted += 1
        inner.settimeout(None)
        with inner, socket.create_connection(("127.0.0.1", self._target)) as server:
            self._open |= {inner, server}
            exchange(inner, server)
            self._open -= {inner, server}


def _drain(each: socket.socket) -> None:
    """Read what comes still: a reset would overtake the alert that says what is wrong."""
    with each, contextlib.suppress(OSError):
        socket.socket.shutdown(each, socket.SHUT_WR)
        each.settimeout(2)
        while socket.socket.recv(each, 65536):
            pass


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
