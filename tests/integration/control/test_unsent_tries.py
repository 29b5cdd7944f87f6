"""An outage in which nothing can be sent is seen by all who count calls, and costs no quota."""

from collections.abc import Iterator

import pytest
import requests

from sisgate import Gateway
from sisgate.domain.call_results import CallResult
from sisgate.domain.links import Link
from sisgate.ledger import attempts
from sisgate.ledger.schema import Attempt
from sisgate.monitoring.counting import count_next
from sisgate.testing import GatewayDouble

NAME = "lincoln"
GOOD, FAILED = 2, 3
CONFIGURATION = {
    "providers": {NAME: {"kind": "oneroster", "endpoints": [{"url": "https://lincoln.test"}]}},
    "alerts": {"rules": {"failing": {"metric": "failed_share", "above": 0.5}}},
}


@pytest.fixture
def double() -> Iterator[GatewayDouble]:
    """Two calls are answered; then three cannot be sent."""
    with GatewayDouble(CONFIGURATION) as double:
        for _ in range(GOOD):
            double.finish(double.gateway.enqueue_request(NAME, "GET", "/good"))
        double.answer(NAME, "/bad", error=requests.ConnectTimeout())
        for _ in range(FAILED):
            double.gateway.enqueue_request(NAME, "GET", "/bad", idempotency_key=None)
            double.work()
        double.admin.audit.seal()
        while count_next(double.admin.context.database):
            pass
        yield double


def tries(gateway: Gateway) -> int:
    """How many tries could not be sent."""
    with gateway.context.database.read() as session:
        return session.query(Attempt).filter(Attempt.unsent == Link.CONNECTION).count()


def test_usage_and_the_dashboards_of_apps_and_operators_count_them(double: GatewayDouble) -> None:
    """The same number everywhere, which is that of the metrics."""
    failed = tries(double.admin)
    assert failed >= FAILED
    (usage,) = double.gateway.providers.usage(NAME)
    assert (usage.calls, usage.failed, usage.unsent) == (GOOD + failed, failed, failed)
    for gateway in (double.gateway, double.admin):
        board = gateway.fleet.dashboard()
        assert (board.calls, board.failed) == (GOOD + failed, failed)


def test_the_verdict_and_the_rule_of_failed_calls_count_them(double: GatewayDouble) -> None:
    """With where they broke off."""
    failed = tries(double.admin)
    verdict = double.admin.why(NAME)
    assert verdict.figures["calls_lately"] == GOOD + failed
    assert verdict.figures["failed_lately"] == failed
    assert verdict.findings[0].evidence["broke_off"] == {"connection": failed}
    double.admin.alerts.evaluate()
    rules = {each.rule: each.evidence for each in double.admin.alerts.list()}
    assert rules["failing"]["value"] == pytest.approx(failed / (failed + GOOD), abs=0.001)


def test_service_levels_count_them_as_bad(double: GatewayDouble) -> None:
    """Availability is of calls that could be sent and of those that could not."""
    level = double.admin.sla.of(NAME).windows["1h"]
    assert level.results[CallResult.UNREACHABLE] == tries(double.admin)


def test_the_limiter_is_rebuilt_without_them(double: GatewayDouble) -> None:
    """The provider has seen nothing, and the permits were given back."""
    since = double.clock.now().replace(hour=0)
    with double.admin.context.database.read() as session:
        assert len(attempts.sent_since(session, NAME, since)) == GOOD


def test_what_only_waits_is_no_try(double: GatewayDouble) -> None:
    """The breaker is open by now: calls wait for it, and no try is noted."""
    double.open_breaker(NAME)
    before = tries(double.admin)
    double.gateway.enqueue_request(NAME, "GET", "/bad")
    double.work()
    (usage,) = double.gateway.providers.usage(NAME)
    assert usage.unsent == before
