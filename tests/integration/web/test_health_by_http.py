"""Health and metrics over HTTP."""

import pytest

from sisgate import Gateway
from sisgate.errors import DatabaseUnavailable
from testbed.heartbeats import WORKER
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken


def test_strangers_learn_a_word_and_callers_the_checks(
    service: WebService, gateway: Gateway, make_token: MakeToken
) -> None:
    """A fleet without a worker accepts jobs all the same."""
    assert service.ask("GET", "/health/live").json() == {"status": "live"}
    gateway.context.heartbeats.withdraw(WORKER.id)
    stranger = service.ask("GET", "/health/ready")
    assert (stranger.status_code, stranger.json()) == (200, {"status": "degraded", "checks": None})
    known = service.ask("GET", "/health/ready", token=make_token("eve", "viewer")).json()
    failing = {check["name"] for check in known["checks"] if not check["ok"]}
    assert failing == {"workers"}


def test_without_a_ledger_it_is_not_ready(
    service: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load balancer takes it out."""

    def away(*_: object) -> None:
        raise DatabaseUnavailable("The ledger is away.")

    monkeypatch.setattr("sisgate.ledger.migrate.current", away)
    answer = service.ask("GET", "/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "unready")


def test_metrics_are_those_of_the_command(service: WebService, make_token: MakeToken) -> None:
    """As OpenMetrics text, and not for strangers."""
    assert service.ask("GET", "/metrics").status_code == 401
    answer = service.ask("GET", "/metrics", token=make_token("eve", "viewer"))
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
def test_what_is_watched_answers_head(open_service: WebService, path: str) -> None:
    """As monitors and load balancers ask, without the body."""
    seen, told = open_service.ask("GET", path), open_service.ask("HEAD", path)
    assert (told.status_code, told.content) == (seen.status_code, b"")
    assert told.headers["Content-Type"] == seen.headers["Content-Type"]
