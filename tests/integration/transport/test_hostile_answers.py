"""Whatever a provider sends, a call ends by its deadline and within its size."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sisgate.clock import SystemClock
from sisgate.credentials.keys import Credential
from sisgate.credentials.tokens import fetch_token
from sisgate.domain.secret import Secret
from sisgate.errors import ProviderUnavailable
from sisgate.providers.dialect import HttpRequest, HttpResponse
from sisgate.settings import Endpoint, ProviderConfig
from sisgate.transport.http import Transport

DEADLINE = 1.0
LATE = DEADLINE + 1.0
LIMIT = 1_000_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Answer = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def server(answer: Answer) -> Iterator[str]:
    """Serve each connection by `answer`, in threads that end with the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            answer(connection, over)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                threads.append(threading.Thread(target=one, args=(listener.accept()[0],)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [acceptor, *threads]:
            thread.join(10)


def send(url: str, path: str = "/x") -> HttpResponse:
    """Send one request with the tests' deadline and limit."""
    return Transport(SystemClock()).send(
        url, HttpRequest(path), None, timeout_seconds=DEADLINE, max_body_bytes=LIMIT
    )


def _hang(_connection: socket.socket, over: threading.Event) -> None:
    over.wait(20)


def _trickle_head(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not over.wait(0.05):
        connection.sendall(b"X-A: b\r\n")


def _trickle_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    while not over.wait(0.05):
        connection.sendall(b" ")


def _trickle_chunks(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while not over.wait(0.05):
        connection.sendall(b"1\r\n \r\n")


def _huge(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Length: 10000000000\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"x" * 65536)


def _bomb(connection: socket.socket, over: threading.Event) -> None:
    body = gzip.compress(b" " * 200_000_000, 9)
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\n")
    connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    over.wait(20)


def _no_gzip(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd")


def _truncated(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b'Content-Length: 500\r\n\r\n{"orgs": [')


def _cut_chunk(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\nabc")


def _reset(connection: socket.socket, over: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _garbage(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"\x16\x03\x01 not HTTP at all\r\n\r\n")


def _long_header(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 1_000_000 + b"\r\n\r\n")


HOSTILE = [
    _hang, _trickle_head, _trickle_body, _trickle_chunks, _huge, _bomb, _no_gzip, _truncated,
    _cut_chunk, _reset, _garbage, _long_header,
]  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE)
def test_a_token_endpoint_is_waited_for_no_longer_than_a_fetch_may_take(answer: Answer) -> None:
    """After that a second worker fetches; and what is no token is not read into memory."""
    key = Credential("key-1", "lincoln", "41", Secret("swordfish-4711"))
    with server(answer) as url:
        config = ProviderConfig(
            name="lincoln", kind="skyward", allow_insecure=True, token_url=f"{url}/token",
            endpoints=(Endpoint(url=url),),
        )  # fmt: skip
        begun = time.monotonic()
        with pytest.raises(ProviderUnavailable):
            fetch_token(config, key, SystemClock(), seconds=DEADLINE)
        elapsed = time.monotonic() - begun
    assert elapsed < LATE + 1.0


@pytest.mark.parametrize("answer", HOSTILE)
def test_a_hostile_answer_ends_by_its_deadline(answer: Answer) -> None:
    """With an error that says that the provider failed, and that it has seen the request."""
    with server(answer) as url:
        begun = time.monotonic()
        with pytest.raises(ProviderUnavailable) as failed:
            send(url)
        elapsed = time.monotonic() - begun
    assert elapsed < LATE + 1.0
    assert failed.value.detail.get("sent") is not False


def test_a_refused_connection_was_not_sent() -> None:
    """So even a POST may be tried again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(ProviderUnavailable) as failed:
        send(url)
    assert failed.value.detail["sent"] is False


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """It would carry credentials to another place: the app gets the answer as it is."""
    visits: list[str] = []

    def elsewhere(connection: socket.socket, over: threading.Event) -> None:
        visits.append("elsewhere")

    def redirect(connection: socket.socket, over: threading.Event) -> None:
        head = f"HTTP/1.1 {status} Moved\r\nLocation: {target}/\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(head.encode())

    with server(elsewhere) as target, server(redirect) as url:
        assert send(url).status == status
    assert visits == []


def test_an_honest_gzip_answer_is_read() -> None:
    """Decoded, whole."""

    def honest(connection: socket.socket, over: threading.Event) -> None:
        body = gzip.compress(b'{"orgs": []}')
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        connection.sendall(HEAD + b"Content-Encoding: gzip\r\n" + length + body)

    with server(honest) as url:
        assert send(url).json() == {"orgs": []}


def test_the_machines_proxy_does_not_see_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment would read, or replace, a provider's credentials."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    def honest(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")

    with server(honest) as url:
        assert send(url).status == 200


def test_a_certificate_that_nobody_signed_is_not_trusted(tmp_path: Path) -> None:
    """The request never leaves, so it may be tried elsewhere."""
    seen: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))

    def tls(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as own:
            seen.append(own.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: tls(listener.accept()[0]))
        thread.start()
        with pytest.raises(ProviderUnavailable) as failed:
            send(f"https://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)
    assert failed.value.detail["sent"] is False
    assert "certificate" in failed.value.message
    assert b"GET" not in b"".join(seen)


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = SystemClock().now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
