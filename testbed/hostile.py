"""A server whose answers are bad on purpose, below what an HTTP server would let one send."""

import contextlib
import functools
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sisgate.clock import SystemClock

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Answer = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def server(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve each connection by `answer`, in threads that end with the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            inner = tls.wrap_socket(connection, server_side=True) if tls else connection
            inner.recv(65536)
            answer(inner, over)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                threads.append(threading.Thread(target=one, args=(listener.accept()[0],)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [acceptor, *threads]:
            thread.join(10)


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


@functools.cache
def _bomb_body() -> bytes:
    return gzip.compress(b" " * 200_000_000, 9)


def _bomb(connection: socket.socket, over: threading.Event) -> None:
    body = _bomb_body()
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


def _whole(body: bytes, content_type: str = "application/json") -> Answer:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"

    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head.encode() + body)

    return answer


def _redirect_to_itself(connection: socket.socket, over: threading.Event) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
    connection.sendall(head)


BROKEN: dict[str, Answer] = {
    "hangs": _hang,
    "drips its head": _trickle_head,
    "drips its body": _trickle_body,
    "drips its chunks": _trickle_chunks,
    "10 GB": _huge,
    "gzip bomb": _bomb,
    "no gzip": _no_gzip,
    "cut short": _truncated,
    "cut in a chunk": _cut_chunk,
    "resets": _reset,
    "no HTTP": _garbage,
    "header of 1 MB": _long_header,
}
"""Answers that are none: the call fails, whether as `ProviderUnavailable` or `AnswerInvalid`."""

UNUSABLE: dict[str, Answer] = {
    "bad JSON": _whole(b'{"orgs": [{"sourcedId": \x00 nothing'),
    "nested 5,000,000 deep": _whole(b'{"orgs": ' + b"[" * 5_000_000 + b"]" * 5_000_000 + b"}"),
    "wrong charset": _whole('{"orgs": [{"name": "Zoë"}]}'.encode("latin-1")),
    "a web page": _whole(b"<html><body>Sign in</body></html>", "text/html"),
    "redirects to itself": _redirect_to_itself,
}
"""Whole answers that mean nothing."""


def self_signed(folder: Path) -> Path:
    """Write a key and a certificate that nobody trusts into a file of the folder."""
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
