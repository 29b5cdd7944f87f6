"""Forms of the console that are filled in wrongly."""

from __future__ import annotations

import re

import pytest

from sisgate import Gateway
from sisgate.domain.states import JobState
from sisgate.ledger import jobs
from testbed.console_visitor import ConsoleVisitor
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

TOKEN = {"name": "ada", "role": "viewer", "scopes": "*", "known": "1"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/tokens/new", {**TOKEN, "days": "999999999"}),
        ("/tokens/new", {**TOKEN, "days": "0"}),
        ("/tokens/new", {**TOKEN, "days": "3", "role": "king"}),
        ("/providers/open/pause", {"until": "9999-12-31T23:59:59-14:00"}),
        ("/providers/open/pause", {"until": "0001-01-01T00:00:00+14:00"}),
        ("/providers/open/pause", {"until": "tomorrow"}),
        ("/providers/open/pause", {"until": "2h", "reason": "a\0b"}),
        ("/providers/open/limits", {"limits": "0/h"}),
        ("/providers/open/limits", {"limits": "99999999999999999999999/h"}),
        ("/providers/open/breakers", {"state": "ajar"}),
        ("/providers/open/breakers", {"state": "open", "endpoint": "99"}),
        ("/providers/open/rotate", {"slot": "third"}),
        ("/datasets/open/students/sync", {"mode": "fast"}),
        ("/datasets/open/students/sync", {"priority": "9"}),
        ("/alerts/al_1/silence", {"until": "9999-12-31T23:59:59-14:00"}),
        ("/jobs/bulk/retry", {"q": "\0"}),
        ("/webhooks/wh_1/pause", {"reason": "\0"}),
    ],
)
def test_a_value_that_cannot_be_is_told_in_words(
    service: WebService,
    gateway: Gateway,
    make_token: MakeToken,
    caplog: pytest.LogCaptureFixture,
    path: str,
    fields: dict[str, str],
) -> None:
    """On a page, with a status of the visitor's mistake and nothing in the log."""
    with ConsoleVisitor(service, make_token("root", "admin")) as visitor:
        answer = visitor.send(path, **fields)
    assert answer.status_code in {404, 422}, answer.headers.get("Location")
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []


def test_deletions_are_not_approved_without_saying_that_they_are_right(
    service: WebService, gateway: Gateway, make_token: MakeToken
) -> None:
    """The browser asks for it; a form that was sent without is not enough."""
    job = gateway.sync("open", "students")
    with gateway.context.database.write() as session:
        jobs.end(session, jobs.get(session, job.id), JobState.HELD, gateway.context.clock.now())
    with ConsoleVisitor(service, make_token("root", "admin")) as visitor:
        assert 'name="sure"' in visitor.get(f"/held/{job.id}").text
        assert visitor.send(f"/held/{job.id}").status_code == 422
        assert len(gateway.jobs.search("provider:open")) == 1
        assert visitor.send(f"/held/{job.id}", sure="yes").status_code == 303
    assert len(gateway.jobs.search("provider:open")) == 2


def test_reloading_the_page_of_a_new_token_makes_no_second_one(
    service: WebService, gateway: Gateway, make_token: MakeToken
) -> None:
    """The browser sends the form again. One that is opened anew makes another."""
    with ConsoleVisitor(service, make_token("root", "admin")) as visitor:
        for made in (2, 3):
            page = visitor.get("/tokens/new").text
            hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w*)"', page))
            form = {**TOKEN, "days": "3", **hidden}
            assert visitor.send("/tokens/new", **form).status_code == 200
            assert visitor.send("/tokens/new", **form).status_code == 409
            assert len(gateway.tokens.list()) == made
