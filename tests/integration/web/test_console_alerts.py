"""The page of alerts: what was found in words, what is held down, what was not delivered."""

from datetime import UTC, datetime

import pytest

from sisgate import Gateway
from sisgate.ledger.schema import Alert, AlertMessage
from testbed.console_visitor import ConsoleVisitor
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

URL_MISSING = "its URL is not here"


@pytest.fixture
def flapping(gateway: Gateway) -> Gateway:
    """A gateway with an alert that flaps, about a held sync, and a channel that cannot be told."""
    now = datetime.now(UTC)
    channels = {"pager": {"url_env": "TEST_PAGER_URL"}}
    plan = gateway.configuration.plan_edit("twin", {"limit": "7/h"})
    document = {**plan.document, "alerts": {"channels": channels}}
    gateway.configuration.apply(document, actor="test")
    with gateway.context.database.write() as session:
        session.add(
            Alert(
                id="al_1", rule="held-sync", subject="lincoln 3f8a", provider="lincoln",
                state="firing", severity="warning", cause="sync_held", culprit="", message="held",
                remedy="", evidence={"job": "3f8a", "broke_off": {"connection": 1}}, since=now,
                seen_at=now, changed_at=now, flaps=1, told="resolved", told_at=now, channels=[],
            )
        )  # fmt: skip
        session.add(
            AlertMessage(
                channel="pager", title="t", body="b", severity="info", alerts=["al_1"],
                created_at=now, state="waiting", not_before=now, error=URL_MISSING,
            )
        )  # fmt: skip
    return gateway


def test_an_alert_tells_what_became_of_its_news(
    service: WebService, flapping: Gateway, make_token: MakeToken
) -> None:
    """The error of a channel is for who may do something about it."""
    with ConsoleVisitor(service, make_token("otto", "operator")) as visitor:
        page = visitor.get("/alerts").text
        assert URL_MISSING in page
    with ConsoleVisitor(service, make_token("vera", "viewer")) as visitor:
        page = visitor.get("/alerts").text
        assert URL_MISSING not in page
    assert "job: 3f8a · broke off: connection 1" in page
    assert "held down until" in page
    assert "Not delivered yet to pager" in page
    assert 'href="/held/3f8a"' in page
    assert flapping.alerts.get("al_1").held_until is not None
