"""Forms of the console that are filled in wrongly."""

from __future__ import annotations

import pytest

from sisgate import Gateway
from testbed.console_visitor import ConsoleVisitor
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

TOKEN = {"name": "ada", "role": "viewer", "scopes": "*"}


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
