"""What the client does when the service is away, slow, too busy or somebody else."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from sisgate.cli.main import app
from sisgate.cli.params import complete_provider, complete_resource
from sisgate.client import HttpGateway
from sisgate.errors import AnswerInvalid, NotAuthenticated, ServiceUnavailable, TooManyRequests
from sisgate.problem_details import MEDIA_TYPE, headers_of, problem_of
from testbed.clock import ManualClock
from testbed.http_server import Asked, HttpServer, Reply, json_reply

TOKEN = "sisgate_planted-token-4711"
JOB: dict[str, Any] = {
    "id": "7", "kind": "sync", "state": "accepted", "app": "a", "provider": "lincoln",
    "resource": "students", "priority": "normal", "mode": "auto",
    "accepted_at": "2026-11-29T10:00:00Z", "started_at": None, "ended_at": None,
    "expires_at": None, "complete": None, "note": None, "error": None, "dead": False,
    "retried_as": None, "rows_seen": 0, "inserted": 0, "updated": 0, "deleted": 0,
    "calls_made": 0, "throttled": 0, "calls": {}, "shared": 0, "progress": 0.0, "is_final": False,
    "is_new": True, "age_seconds": None, "is_stale": False, "origin": "call",
}  # fmt: skip


class Service(HttpServer):
    """Answers with the next of some replies, and the last one from then on."""

    def __init__(self, *replies: Reply) -> None:
        self._left = list(replies)
        super().__init__(self._next)

    def _next(self, _: Asked) -> Reply:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


def problem(error: Exception) -> Reply:
    """Return the answer of the service to an error of the tree."""
    document = problem_of(error)  # type: ignore[arg-type]  # of the tree
    headers = {"Content-Type": MEDIA_TYPE, **headers_of(error)}  # type: ignore[arg-type]
    return document["status"], headers, json.dumps(document).encode()


AWAY: Reply = (503, {"Content-Type": "text/html"}, b"<html>no upstream</html>")
BUSY = problem(TooManyRequests("Too many requests.", seconds=2.0))


def gateway_of(url: str, clock: ManualClock | None = None) -> HttpGateway:
    """Return a gateway of a service, with a clock that nobody waits for."""
    return HttpGateway(url, TOKEN, timeout=20, clock=clock or ManualClock())


def test_what_a_proxy_says_while_the_service_restarts_is_waited_out() -> None:
    """A create is repeated with the same key, so that it is one job."""
    with Service(AWAY, AWAY, json_reply(JOB, 202)) as service, gateway_of(service.url) as gateway:
        assert gateway.sync("lincoln", "students").id == "7"
        keys = [each.headers["idempotency-key"] for each in service.asked]
        assert len(keys) == 3
        assert len(set(keys)) == 1


def test_a_given_key_is_sent_as_it_is() -> None:
    """As a string of structured fields."""
    with Service(json_reply(JOB, 202)) as service, gateway_of(service.url) as gateway:
        gateway.sync("lincoln", "students", idempotency_key='n "1" \\')
        assert service.asked[0].headers["idempotency-key"] == r'"n \"1\" \\"'


def test_what_would_do_harm_twice_is_sent_once() -> None:
    """Whether the first one arrived is unknown, and the error says so."""
    with Service(AWAY) as service, gateway_of(service.url) as gateway:
        with pytest.raises(ServiceUnavailable, match="503"):
            gateway.jobs.cancel("7")
        assert len(service.asked) == 1
        with pytest.raises(ServiceUnavailable, match="503"):
            gateway.jobs.status("7")
        assert len(service.asked) == 1 + 5


def test_retry_after_is_heeded() -> None:
    """For any request: nothing was accepted. Longer waits are the caller's."""
    clock = ManualClock()
    with Service(BUSY, json_reply(JOB)) as service, gateway_of(service.url, clock) as gateway:
        assert gateway.jobs.cancel("7").id == "7"
        assert clock.monotonic() == 2.0
    longer = problem(TooManyRequests("Too many requests.", seconds=600.0))
    with Service(longer) as service, gateway_of(service.url) as gateway:
        with pytest.raises(TooManyRequests) as busy:
            gateway.jobs.status("7")
        assert busy.value.seconds == 600.0
        assert len(service.asked) == 1


def test_an_error_of_the_service_is_not_repeated() -> None:
    """It said what it had to say."""
    with Service(problem(NotAuthenticated("No."))) as service, gateway_of(service.url) as gateway:
        with pytest.raises(NotAuthenticated):
            gateway.jobs.list()
        assert len(service.asked) == 1


def test_nobody_there_is_an_error_that_names_the_place() -> None:
    """And not the token; for a create, too, which was never sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for ask in (lambda: gateway_of(url).jobs.list(), lambda: gateway_of(url).jobs.cancel("7")):
        with pytest.raises(ServiceUnavailable) as away:
            ask()
        assert url in away.value.message
        assert TOKEN not in f"{away.value!r} {away.value.__context__!r} {away.value.detail}"


def test_another_server_is_told_from_the_service() -> None:
    """By what it answers."""
    page: Reply = (200, {}, b"<html>hello</html>")
    with Service(page) as service, pytest.raises(AnswerInvalid, match="SISGATE_URL"):
        gateway_of(service.url).jobs.list()
    nothing: Reply = (404, {}, b"nothing")
    with Service(nothing) as service, pytest.raises(ServiceUnavailable, match="answered 404"):
        gateway_of(service.url).jobs.list()


def test_an_error_that_is_cut_off_is_no_answer() -> None:
    """Also where the answer would have been a stream."""
    cut = (409, {"Content-Type": MEDIA_TYPE, "Content-Length": "500"}, b'{"code"')
    for ask in (lambda it: it.jobs.list(), lambda it: list(it.records("lincoln", "students"))):
        with Service(cut) as service, pytest.raises(ServiceUnavailable):
            ask(gateway_of(service.url))


@pytest.mark.parametrize("line", [b"{", b"[]", b"7", b'{"sourcedId": "s1"}', b"[" * 2_000])
def test_a_line_of_a_stream_that_is_none_is_not_quoted(line: bytes) -> None:
    """It is one error, as with any other answer."""
    with Service((200, {}, line + b"\n")) as service, gateway_of(service.url) as gateway:
        for stream in (gateway.records, gateway.changes):
            with pytest.raises(AnswerInvalid, match="cannot read"):
                list(stream("lincoln", "students"))


def test_json_of_no_end_is_none() -> None:
    """It is not read."""
    endless: Reply = (200, {}, b"[" * 100_000)
    with Service(endless) as service, pytest.raises(AnswerInvalid, match="not JSON"):
        gateway_of(service.url).jobs.list()


def test_completing_a_word_asks_once_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shell's prompt waits for it; a service that says nothing is not waited for."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o644)
    monkeypatch.setenv("SISGATE_TOKEN_FILE", str(tmp_path / "token"))
    root: Any = typer.main.get_command(app)

    def completed(url: str) -> list[str]:
        context = root.make_context("sisgate", ["--url", url, "jobs"], resilient_parsing=True)
        context.params["provider"] = "lincoln"
        assert list(complete_resource(context, "stud")) == ["students"]
        return list(complete_provider(context, "li"))

    with Service(json_reply({"names": ["lincoln"]})) as service:
        assert completed(service.url) == ["lincoln"]
    with Service(AWAY) as service:
        assert completed(service.url) == []
        assert len(service.asked) == 2
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        assert completed(f"http://127.0.0.1:{silent.getsockname()[1]}") == []
        assert time.monotonic() - begun < 15  # 2 s; by default, 5 times 30 s
    assert capsys.readouterr() == ("", "")


def test_a_redirect_is_not_followed() -> None:
    """The token would go along."""
    with Service(json_reply({})) as elsewhere:
        away: Reply = (307, {"Location": f"{elsewhere.url}/v1/jobs"}, b"")
        with Service(away) as service, pytest.raises(ServiceUnavailable, match="redirect"):
            gateway_of(service.url).jobs.list()
        assert elsewhere.asked == []


def test_the_token_goes_along_and_no_password_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests would take one from ~/.netrc."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login planted password planted\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Service(json_reply({"jobs": [], "next": None}, Set_Cookie="a=b")) as service:
        with gateway_of(service.url) as gateway, HttpGateway(service.url, "") as open_one:
            for each in (gateway, gateway, open_one):
                each.jobs.list()
        sent = [each.headers.get("authorization") for each in service.asked]
        assert sent == [f"Bearer {TOKEN}", f"Bearer {TOKEN}", None]
        assert not any("cookie" in each.headers for each in service.asked)


@pytest.fixture
def cut_off() -> Iterator[Callable[[list[bytes]], str]]:
    """Start a server whose streams end in the middle; each of its answers is one of some texts."""
    sockets = []

    def start(texts: list[bytes]) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def serve() -> None:
            for text in texts:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\n" + text)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for each in sockets:
        each.close()


def chunk(*lines: dict) -> bytes:
    """Return one chunk of lines, without the last one."""
    text = text_of(*lines)
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(text), text)


def text_of(*lines: dict) -> bytes:
    """Return lines as the service writes them."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def change(number: int) -> dict:
    """Return a line of a feed."""
    at = "2026-11-29T10:00:00Z"
    return {
        "sequence": number, "operation": "insert", "sourcedId": f"s{number}", "changedAt": at,
        "data": {},
    }  # fmt: skip


def test_records_that_break_off_are_not_taken_for_all(
    cut_off: Callable[[list[bytes]], str],
) -> None:
    """Whoever reads them learns that they are not complete."""
    at = "2026-11-29T10:00:00Z"
    line: dict[str, Any] = {
        "sourcedId": "s1", "firstSeen": at, "lastSeen": at, "changedAt": at, "deletedAt": None,
        "data": {},
    }  # fmt: skip
    until_closed = b"\r\n" + text_of(line, line)[:-20]  # as through a proxy of old
    for answer in (chunk(line), until_closed):
        stream = gateway_of(cut_off([answer])).records("lincoln", "students")
        assert next(stream).sourced_id == "s1"
        with pytest.raises(ServiceUnavailable, match="not complete"):
            next(stream)


def test_a_feed_that_breaks_off_goes_on_behind_the_last_change(
    cut_off: Callable[[list[bytes]], str],
) -> None:
    """Each change comes once."""
    half = chunk(change(3))[:-20] + b"\r\n"
    url = cut_off([chunk(change(1), change(2)), half, chunk(change(3)) + b"0\r\n\r\n"])
    changes = gateway_of(url).changes("lincoln", "students")
    assert [each.sequence for each in changes] == [1, 2, 3]


def test_a_stopping_service_that_lets_nobody_wait_is_not_asked_without_a_pause() -> None:
    """Until the time is up."""
    clock = ManualClock()
    with Service(json_reply(JOB)) as service, gateway_of(service.url, clock) as gateway:
        assert gateway.jobs.ended_within("7", 10.0) is None
        assert len(service.asked) <= 12
        assert service.asked[0].headers["prefer"] == "wait=10.000"
