"""Bytes that no client library sends: no failure of the service, and no way around a token."""

import re
import socket

import pytest

from sisgate.web.server import Service
from testbed.raw_requests import answer_to, raw_requests
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

PATHS = ("/v1/jobs", "/v1/providers/open", "/metrics")
TARGETS = (
    *PATHS,
    *(
        form.format(path)
        for path in PATHS
        for form in (
            "http://localhost{}", "http://evil.test{}", "//evil.test{}", "/\\evil.test{}", "/.{}",
            "/..{}", "/v1/..{}", "/%2e%2e{}", "/health/live/..{}", "/health/live/%2e%2e{}",
            "/health/live;{}", "/health/live%3b{}", "/health/live%00{}", "/health/live?{}",
            "/health/live#{}", "{}/", "{}//", "{}%2f", "{}%00", "{}%0d%0aX-Planted:%20y", "{};x=y",
            "{}?limit=%00", "{}?cursor=%ff", "{}?%0d%0a=1", "{}\\", "{}%5c", "@evil.test{}",
            ":80@evil.test{}", "{}#/health/live", "{}\x01", "{}\xe9", "{}%", "{}%zz", "{}\t", "",
        )
    ),
    "/", "/login", "*", "/v1/jobs/..", "/v1/jobs/%2e%2e", "/v1/jobs/\0", "/v1/jobs/" + "a" * 5000,
    "/v1/jobs?" + "a=b&" * 2000, "/V1/jobs", "/v1/Jobs", "/%761/jobs", "/v1%2fjobs",
    "/v1/providers/open%2f..%2ftwin", "/v1/providers/../jobs", "/v1/jobs/%C0%AE%C0%AE",
)  # fmt: skip

BY_HTTP = {501, 505}
"""Of a coding or version that the service does not speak: the statuses of RFC 9110 for it."""


TO_LOGIN = re.compile(
    rb"HTTP/1\.1 303 See Other\r\n(?:[^\r]+\r\n)*?location: /login[?\r]", re.IGNORECASE
)
"""What the console answers to a stranger at a path that is not of the API: a page of its own."""


def statuses_of(answer: bytes) -> list[int]:
    """Return the statuses of all answers."""
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


@pytest.mark.parametrize("has_token", [False, True], ids=["stranger", "admin"])
def test_no_bytes_make_it_fail_or_let_a_stranger_in(
    service: WebService, make_token: MakeToken, caplog: pytest.LogCaptureFixture, has_token: bool
) -> None:
    """Of more than 1,000 requests; those that are not HTTP get a problem document or nothing."""
    headers = (f"Authorization: Bearer {make_token('admin', 'admin')}",) if has_token else ()
    wrong: list[tuple[bytes, bytes]] = []
    sent = 0
    for request in raw_requests(TARGETS, headers):
        answer = answer_to(service.port, request)
        sent += 1
        statuses = statuses_of(answer)
        is_bad = any(status >= 500 and status not in BY_HTTP for status in statuses)
        passed = sum(status < 400 for status in statuses) - len(TO_LOGIN.findall(answer))
        is_open = not has_token and passed != answer.count(b'{"status":"live"}')
        is_open = is_open and not request.startswith(b"GET /login ")
        shows = b"Traceback" in answer or b"\nx-planted" in answer.lower()
        if is_bad or is_open or shows:
            wrong.append((request[:200], answer[:300]))
    assert wrong == []
    assert sent >= 1000
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []
    assert service.ask("GET", "/health/live").status_code == 200


def test_an_answer_does_not_wait_for_a_delayed_ack(service: WebService) -> None:
    """Connections send what they have at once, whatever kind of socket the service was given."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        Service(service.app, bound)
        with socket.create_connection(bound.getsockname()):
            accepted, _ = bound.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
