"""Visits to the console: logging in, what the browser holds, and what ends it."""

import pytest

from sisgate import Gateway
from sisgate.clock import poll_until
from testbed.console_visitor import ConsoleVisitor
from testbed.web_service import CLOCK, WebService
from tests.integration.web.conftest import MakeToken


def test_a_stranger_is_asked_to_log_in_and_comes_back_to_the_page(
    service: WebService, make_token: MakeToken
) -> None:
    """Whatever the path, also one that does not exist."""
    with ConsoleVisitor(service) as visitor:
        for path in ("/", "/providers?q=a", "/nothing"):
            answer = visitor.get(path)
            assert answer.status_code == 303
            assert answer.headers["Location"].startswith("/login?next=%2F")
        token = make_token("ada", "viewer")
        answer = visitor.send("/login", token=token, next="/providers?q=a")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/providers?q=a")
        assert visitor.get("/").status_code == 200


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test", "/\\evil.test", "x"])
def test_logging_in_leads_nowhere_else(
    service: WebService, make_token: MakeToken, elsewhere: str
) -> None:
    """A link to the login page with another site in it ends at the overview."""
    with ConsoleVisitor(service) as visitor:
        answer = visitor.send("/login", token=make_token("ada", "viewer"), next=elsewhere)
        assert answer.headers["Location"] == "/"


def test_who_was_wrong_too_often_is_told_so(gateway: Gateway, make_token: MakeToken) -> None:
    """At the form. Another's right token is let in: behind a proxy all have one address."""
    web = gateway.settings.web.model_copy(update={"failed_logins": "2/m"})
    closed = gateway.settings.model_copy(update={"access": "tokens", "web": web})
    token = make_token("ada", "viewer")
    with (
        WebService(Gateway(closed, database=gateway.context.database)) as service,
        ConsoleVisitor(service) as visitor,
    ):
        wrong = [visitor.send("/login", token="wrong").status_code for _ in range(2)]
        answer = visitor.send("/login", token="wrong")
        assert [*wrong, answer.status_code] == [401, 401, 429]
        assert 'role="alert"' in answer.text
        assert "Set-Cookie" not in answer.headers
        assert visitor.send("/login", token=token).status_code == 303
        others = [visitor.send("/login", token=f"w{n}").status_code for n in range(19)]
        assert others == [401] * 18 + [429]
        assert visitor.send("/login", token=token).status_code == 429


def test_the_cookie_is_no_token_and_out_of_reach_of_scripts_and_sites(
    service: WebService, make_token: MakeToken
) -> None:
    """And is kept from plain HTTP where the browser speaks TLS."""
    token = make_token("ada", "viewer")
    with ConsoleVisitor(service) as visitor:
        answer = visitor.send("/login", token=token)
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Secure" not in cookie
        assert token not in cookie
        visitor.http.headers["X-Forwarded-Proto"] = "https"
        assert "Secure" in visitor.send("/login", token=token).headers["Set-Cookie"]


def test_a_session_ends_with_its_token(
    service: WebService, gateway: Gateway, make_token: MakeToken
) -> None:
    """Within a second, as the token itself."""
    with ConsoleVisitor(service, make_token("ada", "viewer")) as visitor:
        assert visitor.get("/").status_code == 200
        gateway.tokens.revoke(gateway.tokens.list()[0].id)
        assert poll_until(
            lambda: visitor.get("/").status_code == 303, clock=CLOCK, timeout_seconds=10
        )


def test_logging_out_ends_the_session_for_a_copied_cookie_too(
    service: WebService, gateway: Gateway, make_token: MakeToken
) -> None:
    """Beginning and end are in the audit log."""
    with ConsoleVisitor(service, make_token("ada", "viewer")) as visitor:
        copied = dict(visitor.http.cookies)
        assert visitor.send("/logout").headers["Location"] == "/login"
        visitor.http.cookies.update(copied)
        assert visitor.get("/").status_code == 303
    actions = [event.action for event in gateway.audit.tail()]
    assert {"access:session:begin", "access:session:end"} <= set(actions)


def test_wrong_tokens_come_to_an_end(service: WebService, make_token: MakeToken) -> None:
    """Each is audited and says no more than that it is not valid."""
    with ConsoleVisitor(service) as visitor:
        answer = visitor.send("/login", token="sisgate_0_0")
        assert answer.status_code == 401
        assert "not a sisgate token" in answer.text
        assert "Set-Cookie" not in answer.headers


def test_a_form_of_another_page_does_nothing(service: WebService, make_token: MakeToken) -> None:
    """Neither without the session's mark, nor from another origin with it."""
    with ConsoleVisitor(service, make_token("ada", "viewer")) as visitor:
        mark, visitor.mark = visitor.mark, "0" * 64
        assert visitor.send("/logout").status_code == 403
        visitor.mark = mark
        visitor.http.headers["Origin"] = "https://evil.test"
        assert visitor.send("/logout").status_code == 403
        del visitor.http.headers["Origin"]
        assert visitor.get("/").status_code == 200


def test_pages_run_nothing_but_the_services_own_files(open_service: WebService) -> None:
    """No script or style in the page, none of another host."""
    answer = open_service.ask("GET", "/")
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "style=" not in answer.text
    assert "<style" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_errors_are_pages_in_words(open_service: WebService) -> None:
    """With their status; the API keeps its problem documents."""
    page = open_service.ask("GET", "/nothing")
    assert page.status_code == 404
    assert "There is no such page." in page.text
    problem = open_service.ask("GET", "/v1/nothing")
    assert problem.headers["Content-Type"] == "application/problem+json"


def test_a_stream_shows_what_its_visitor_may_see(
    service: WebService, make_token: MakeToken
) -> None:
    """Visitors share the work only where their rights are the same."""
    seen = []
    for name, scopes in (("ada", ("*",)), ("eve", ("open",)), ("bob", ("*",))):
        with (
            ConsoleVisitor(service, make_token(name, "viewer", scopes=scopes)) as visitor,
            visitor.http.get(
                f"{service.url}/live?of=/providers", stream=True, timeout=30
            ) as answer,
        ):
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            lines = []
            for line in answer.iter_lines(decode_unicode=True):
                lines.append(line)
                if lines.count("") == 2:  # the page comes second
                    break
            seen.append("".join(lines))
    assert ["/providers/twin" in each for each in seen] == [True, False, True]
    assert all("/providers/open" in each for each in seen)
