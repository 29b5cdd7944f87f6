"""What the service refuses before it reads it: sizes, framing, foreign pages, too many requests."""

import json
import re

import pytest
from pydantic import SecretStr

from sisgate import Gateway
from sisgate.settings import Settings
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

JSON = {"Content-Type": "application/json"}


def status_of(answer: bytes) -> int:
    """The status of the first answer."""
    found = re.match(rb"HTTP/1\.1 (\d+)", answer)
    assert found is not None, answer
    return int(found[1])


def framed(*headers: str, body: str = "") -> bytes:
    """A POST with headers as they are given."""
    lines = ["POST /v1/syncs HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    return "\r\n".join([*lines, *headers, "", body]).encode("latin-1")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (framed("Content-Length: 2", "Transfer-Encoding: chunked", body="{}"), 400),
        (framed("Content-Length: 2", "Content-Length: 3", body="{}"), 400),
        (framed("Content-Length: -1", body="{}"), 400),
        (framed("Content-Length: +2", body="{}"), 400),
        (framed("Content-Length: 9999999999999999999", body="{}"), 400),
        (framed("Content-Length: 99999999", body="{}"), 413),
        (framed("Transfer-Encoding: gzip, chunked", body="0\r\n\r\n"), 501),
        (framed("Transfer-Encoding: chunked", body="zz\r\n{}\r\n0\r\n\r\n"), 400),
        (framed("X-Folded: a\r\n b", "Content-Length: 2", "Connection: close", body="{}"), 422),
        (framed("Bad Name: 1", "Content-Length: 2", body="{}"), 400),
        (framed("X: a\0b", "Content-Length: 2", body="{}"), 400),
        (framed("Host: other", "Content-Length: 2", body="{}"), 400),
        (framed(f"X: {'y' * 20_000}", "Content-Length: 2", "Connection: close", body="{}"), 431),
        (framed(f"X: {'y' * 40_000}", "Content-Length: 2", body="{}"), 431),
        (framed(*[f"X-{n}: y" for n in range(150)], "Content-Length: 2", body="{}"), 431),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (b"nonsense\r\n\r\n", 400),
        (b"GET http://evil.test/v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
         404),
        (b"GET /v1/jobs HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /v1/jobs HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n", 403),
        (framed("Origin: http://[", "Content-Length: 2", "Connection: close", body="{}"), 403),
    ],
)  # fmt: skip
def test_a_request_that_is_not_proper_is_refused_and_the_connection_closed(
    open_service: WebService, request_bytes: bytes, status: int
) -> None:
    """Nothing after it is read as a request of its own."""
    answer = open_service.raw(request_bytes)
    assert status_of(answer) == status
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Traceback" not in answer


def test_a_body_is_bounded_also_if_it_does_not_say_its_length(open_service: WebService) -> None:
    """By the setting."""
    most = open_service.app.state.shared.config.max_body_bytes
    answer = open_service.ask(
        "POST", "/v1/syncs", data=iter([b" " * (most // 2)] * 3), headers=JSON
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "usage")


def test_a_page_of_another_site_changes_nothing(open_service: WebService) -> None:
    """Its browser says where it comes from. A name that resolves to this machine is no help."""
    body = {"provider": "open", "resource": "students"}
    for origin in ("https://evil.test", "null", "http://127.0.0.1:1"):
        refused = open_service.ask("POST", "/v1/syncs", json=body, headers={"Origin": origin})
        assert refused.status_code == 403
    renamed = open_service.ask("GET", "/v1/jobs", headers={"Host": "evil.test"})
    assert (renamed.status_code, renamed.json()["code"]) == (403, "access_denied")
    assert "Access-Control-Allow-Origin" not in renamed.headers


def test_a_caller_has_a_limit_of_its_own(gateway: Gateway, make_token: MakeToken) -> None:
    """With the headers of the draft, and a Retry-After at its end."""
    web = gateway.settings.web.model_copy(update={"limit": "3/m", "limits": {"portal": "5/m"}})
    closed = gateway.settings.model_copy(update={"access": "tokens", "web": web})
    with WebService(Gateway(closed, database=gateway.context.database)) as service:
        for name, calls in (("gradebook", 3), ("portal", 5)):
            token = make_token(name, "app")
            answers = [service.ask("GET", "/v1/jobs", token=token) for _ in range(calls + 1)]
            assert [each.status_code for each in answers] == [200] * calls + [429]
            assert answers[0].headers["RateLimit-Policy"] == f'"default";q={calls};w=60'
            assert answers[0].headers["RateLimit"].startswith(f'"default";r={calls - 1};t=')
            assert answers[-1].json()["code"] == "too_many_requests"
            assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


def test_the_limit_is_that_of_all_processes(gateway: Gateway, make_token: MakeToken) -> None:
    """And while Redis is away, that of each."""
    token = make_token("gradebook", "app")
    web = gateway.settings.web.model_copy(update={"limit": "4/h"})
    closed = gateway.settings.model_copy(update={"access": "tokens", "web": web})
    away = closed.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")})
    database = gateway.context.database

    def statuses(settings: Settings) -> list[int]:
        with WebService(Gateway(settings, database=database)) as service:
            asked = [service.ask("GET", "/v1/jobs", token=token) for _ in range(3)]
        return [each.status_code for each in asked]

    assert [statuses(closed), statuses(closed)] == [[200] * 3, [200, 429, 429]]
    assert [statuses(away), statuses(away)] == [[200] * 3] * 2


def test_an_address_that_guesses_tokens_is_stopped(gateway: Gateway) -> None:
    """Each guess is audited, so they must have an end."""
    assert gateway.settings.web.failed_logins == "30/m"
    # By the hour none comes back while a slow machine asks.
    web = gateway.settings.web.model_copy(update={"failed_logins": "30/h"})
    closed = gateway.settings.model_copy(update={"access": "tokens", "web": web})
    with WebService(Gateway(closed, database=gateway.context.database)) as service:
        statuses = [service.ask("GET", "/v1/jobs", token="nonsense").status_code for _ in range(40)]
        assert statuses == [401] * 30 + [429] * 10
        assert service.ask("GET", "/health/live").status_code == 200


def test_only_a_trusted_proxy_says_whose_address_it_is(gateway: Gateway) -> None:
    """Others cannot take a new address for each guess."""
    for trusted, last in ((("127.0.0.0/8",), 401), ((), 429)):
        web = {"failed_logins": "2/h", "trusted_proxies": trusted}
        settings = gateway.settings.model_copy(
            update={"access": "tokens", "web": gateway.settings.web.model_copy(update=web)}
        )
        with WebService(Gateway(settings, database=gateway.context.database)) as service:
            statuses = [
                service.ask(
                    "GET", "/v1/jobs", token="nonsense",
                    headers={"X-Forwarded-For": f"198.51.100.{number}"},
                ).status_code
                for number in range(3)
            ]  # fmt: skip
        assert statuses == [401, 401, last]


def test_answers_are_not_kept_and_not_guessed_at(open_service: WebService) -> None:
    """By proxies and browsers."""
    headers = open_service.ask("GET", "/v1/jobs").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in headers
    assert json.loads(open_service.ask("GET", "/v1/openapi.json").text)["info"]["title"]
