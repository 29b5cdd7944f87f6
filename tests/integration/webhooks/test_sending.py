"""An attempt goes to an address that was judged, and ends in time whatever the receiver does."""

import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from sisgate.clock import SystemClock
from sisgate.domain.receivers import ReceiverRules
from sisgate.webhooks.outcomes import Result
from sisgate.webhooks.sending import Sender
from testbed.hostile import BROKEN, UNUSABLE, server
from testbed.http_server import Asked, HttpServer, Reply
from testbed.tls import Authority, server_context

LOOPBACK = ReceiverRules(allow_http=True, networks=(ipaddress.ip_network("127.0.0.0/8"),))
CLOCK = SystemClock()
NAME = "app.example.test"


def attempt(sender: Sender, url: str, *, seconds: float = 10.0) -> Result:
    """What came of an attempt."""
    deadline = CLOCK.monotonic() + seconds
    return sender.send(url, b"{}", {"content-type": "application/json"}, deadline=deadline)


def sent(sender: Sender, url: str, *, seconds: float = 10.0) -> str:
    """What an attempt says in a few words."""
    result = attempt(sender, url, seconds=seconds)
    return str(result.status or result.error)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority of the receiver's certificate."""
    return Authority(tmp_path)


@pytest.fixture
def names() -> list[str | None]:
    """The names that clients sent in their handshakes."""
    return []


@pytest.fixture
def receiver(authority: Authority, names: list[str | None]) -> Iterator[HttpServer]:
    """An app behind TLS, with a certificate of its name."""
    context = server_context(authority.issue(NAME))

    def note(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        names.append(name)

    context.sni_callback = note

    def answer(_: Asked) -> Reply:
        return 200, {}, b""

    with HttpServer(answer, tls=context) as server:
        yield server


def test_the_connection_goes_to_the_judged_address_with_the_name_s_certificate(
    authority: Authority, receiver: HttpServer, names: list[str | None]
) -> None:
    """The name is resolved once; SNI, certificate and Host are those of the name."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    sender = Sender(LOOPBACK, CLOCK, ca_file=authority.file, resolve=resolve)
    assert sent(sender, f"https://{NAME}:{receiver.port}/x") == "200"
    assert asked == [NAME]
    assert names == [NAME]
    assert receiver.asked[0].headers["host"] == f"{NAME}:{receiver.port}"


def test_a_certificate_of_another_name_is_refused(
    authority: Authority, receiver: HttpServer
) -> None:
    """And so is one of an unknown authority. Nothing is sent."""
    sender = Sender(LOOPBACK, CLOCK, ca_file=authority.file, resolve=lambda *_: ["127.0.0.1"])
    assert "another host name" in sent(sender, f"https://other.test:{receiver.port}/x")
    public = Sender(LOOPBACK, CLOCK, resolve=lambda *_: ["127.0.0.1"])
    assert "authority" in sent(public, f"https://{NAME}:{receiver.port}/x")
    assert receiver.asked == []


def test_a_name_that_is_bound_anew_is_judged_anew(receiver: HttpServer) -> None:
    """Public when it was added, inside at an attempt, or half inside: nothing is sent."""
    answers = iter([["127.0.0.1"], ["93.184.215.14", "::ffff:127.0.0.1"], ["169.254.169.254"]])
    rules = ReceiverRules(allow_http=True)
    sender = Sender(rules, CLOCK, resolve=lambda *_: next(answers))
    url = f"http://{NAME}:{receiver.port}/"
    assert rules.refusal_of_url(url) is None
    for _ in range(3):
        assert sent(sender, url) == (
            "Not sent: the name resolves to an address that is not public."
        )
    assert receiver.asked == []


def test_names_that_mean_this_machine_are_not_sent_to(receiver: HttpServer) -> None:
    """By the resolver of the system."""
    sender = Sender(ReceiverRules(allow_http=True), CLOCK)
    for host in ("localhost", "localhost.", "ip6-localhost", "127.0.0.1", "0", "[::1]"):
        assert "Not sent" in sent(sender, f"http://{host}:{receiver.port}/"), host
    assert receiver.asked == []


def test_nothing_is_written_after_the_lease(receiver: HttpServer, authority: Authority) -> None:
    """Another worker may be sending it by then."""
    sender = Sender(LOOPBACK, CLOCK, ca_file=authority.file, resolve=lambda *_: ["127.0.0.1"])
    assert "halted" in sent(sender, f"https://{NAME}:{receiver.port}/", seconds=-1)
    assert receiver.asked == []


@pytest.mark.parametrize("kind", sorted(BROKEN | UNUSABLE))
def test_no_receiver_holds_an_attempt(kind: str) -> None:
    """It ends within its time; of a response nothing but the head is read."""
    sender = Sender(LOOPBACK, CLOCK, timeout_seconds=0.5)
    begun = CLOCK.monotonic()
    with server((BROKEN | UNUSABLE)[kind]) as url:
        assert sent(sender, f"{url}/x")
    assert CLOCK.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("hangs", "The receiver did not respond within 0.5 s."),
        ("resets", "The receiver broke the connection off before it responded."),
        ("no HTTP", "The receiver did not respond with HTTP."),
    ],
)
def test_a_receiver_learns_what_was_wrong_with_its_response(kind: str, why: str) -> None:
    """One that resets at once was not slow."""
    with server(BROKEN[kind]) as url:
        assert sent(Sender(LOOPBACK, CLOCK, timeout_seconds=0.5), f"{url}/x") == why


def test_a_result_says_whether_the_receiver_may_have_it(receiver: HttpServer) -> None:
    """Not without a connection, nor with a certificate that nobody trusts."""
    sender = Sender(LOOPBACK, CLOCK, timeout_seconds=0.5)
    with server(BROKEN["hangs"]) as url:
        assert attempt(sender, f"{url}/x").kind == "no_response"
    assert attempt(sender, f"{url}/x").kind == "not_sent"
    assert attempt(sender, f"https://127.0.0.1:{receiver.port}/").kind == "not_sent"
    with server(UNUSABLE["a web page"]) as url:
        assert attempt(sender, f"{url}/x").kind == "delivered"
