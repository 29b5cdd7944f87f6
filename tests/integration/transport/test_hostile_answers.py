"""Whatever a provider sends, a call ends by its deadline and within its size."""

import contextlib
import gzip
import socket
import ssl
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from sisgate.clock import SystemClock
from sisgate.credentials.keys import Credential
from sisgate.credentials.token_endpoint import fetch_token
from sisgate.domain.secret import Secret
from sisgate.errors import AnswerInvalid, ProviderUnavailable
from sisgate.providers.http import HttpRequest, HttpResponse
from sisgate.settings import Endpoint, ProviderConfig
from sisgate.transport import Transport
from testbed.hostile import BROKEN, HEAD, Answer, self_signed, server

DEADLINE = 1.0
LATE = DEADLINE + 1.0
LIMIT = 1_000_000
MIB = 2**20


def send(
    url: str, path: str = "/x", *, timeout_seconds: float = DEADLINE, max_body_bytes: int = LIMIT
) -> HttpResponse:
    """Send one request, by the tests' deadline and limit where no others are given."""
    return Transport(SystemClock()).send(
        url, HttpRequest(path), None, timeout_seconds=timeout_seconds, max_body_bytes=max_body_bytes
    )


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
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


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_hostile_answer_ends_by_its_deadline(answer: Answer) -> None:
    """With an error that says that the provider failed, and that it has seen the request."""
    with server(answer) as url:
        begun = time.monotonic()
        with pytest.raises((ProviderUnavailable, AnswerInvalid)) as failed:
            send(url)
        elapsed = time.monotonic() - begun
    assert elapsed < LATE + 1.0
    assert failed.value.detail.get("sent") is not False


@pytest.mark.parametrize("words", ["gzip bomb", "10 GB"])
def test_too_much_is_refused_before_it_fills_the_memory(words: str) -> None:
    """With the size that is allowed where nothing else is configured."""
    allowed = ProviderConfig.model_fields["max_body_mb"].default * MIB
    with server(BROKEN[words]) as url:
        with pytest.raises(AnswerInvalid):
            # The bomb is made here, however long that takes, and not counted below.
            send(url, timeout_seconds=30.0)
        tracemalloc.start()
        try:
            with pytest.raises(AnswerInvalid, match="max_body_mb allows 32") as refused:
                send(url, timeout_seconds=30.0, max_body_bytes=allowed)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 64 * MIB
    assert refused.value.is_final
    if words == "10 GB":
        assert "is 9536.7 MiB" in refused.value.message


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


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, deflate"])
def test_a_body_that_is_not_compressed_as_declared_is_no_outage(encoding: str) -> None:
    """The provider did answer: its breaker is not moved, and the call does not wait for ever."""
    head = HEAD + f"Content-Encoding: {encoding}\r\n".encode()

    def mislabelled(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head + b'Content-Length: 12\r\n\r\n{"orgs": []}')

    with server(mislabelled) as url, pytest.raises(AnswerInvalid, match="Content-Encoding") as bad:
        send(url)
    assert encoding in str(bad.value)


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
    context.load_cert_chain(self_signed(tmp_path))

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
