"""What follows from an outage is not told beside it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sisgate.alerts.conditions import conditions_of
from sisgate.alerts.facts import AlertFacts
from sisgate.settings.alerts import DEFAULT_RULES
from sisgate.verdict.facts import FleetFacts, ProviderFacts, RecentCall

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(("failed", "is_inhibited"), [(10, True), (3, True), (0, False)])
def test_a_budget_that_burns_follows_from_an_outage(failed: int, is_inhibited: bool) -> None:
    """Also from one of some calls only, which stops nothing."""
    statuses = [503] * failed + [200] * (10 - failed)
    recent = [RecentCall("portal", s, 1.0 + n) for n, s in enumerate(statuses)]
    fleet = FleetFacts(NOW, providers=[ProviderFacts("lincoln", host="h", recent=recent)])
    facts = AlertFacts(fleet, burning={"lincoln": {"availability": 50.0}})
    rules = {name: DEFAULT_RULES[name] for name in ("provider", "budget")}
    found = conditions_of(rules, facts, dict.fromkeys(rules, frozenset({"lincoln"}))).found
    by_rule = {each.rule: each for each in found}
    assert by_rule["budget"].inhibited is is_inhibited
    assert ("provider" in by_rule) is is_inhibited
