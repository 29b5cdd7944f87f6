"""What follows from an outage is not told beside it."""

from datetime import UTC, datetime

import pytest

from sisgate.alerts.conditions import conditions_of
from sisgate.alerts.facts import AlertFacts
from sisgate.settings.alerts import DEFAULT_RULES
from sisgate.verdict.facts import FleetFacts, ProviderFacts, RecentCall
from sisgate.verdict.unattended import FailingReceiver, RefusedCaller

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


def test_a_host_of_several_providers_has_one_alert() -> None:
    """What fails at each of them follows from it, where the rule is for several of them."""
    recent = [RecentCall("portal", 503, 1.0 + n) for n in range(6)]
    names = ("lincoln", "adams", "clark")
    providers = [ProviderFacts(name, host="sis.test", recent=recent) for name in names]
    facts, rules = (
        AlertFacts(FleetFacts(NOW, providers=providers)),
        {"provider": DEFAULT_RULES["provider"]},
    )
    found = conditions_of(rules, facts, {"provider": frozenset(names)}).found
    (told,) = [each for each in found if not each.inhibited]
    assert (told.subject, told.provider) == ("fleet sis.test", None)
    assert told.message == "sis.test, the host of 3 providers, fails for all of them"
    assert len(found) == 4
    found = conditions_of(rules, facts, {"provider": frozenset({"adams"})}).found
    assert [(each.provider, each.inhibited) for each in found] == [("adams", False)]


def test_each_receiver_and_each_caller_has_an_alert_of_its_own() -> None:
    """One that is looked after hides no other."""
    first, second = (
        FailingReceiver(hook, "lms", "lms.test", "active", "it answered 500", 900.0)
        for hook in ("wh_1", "wh_2")
    )
    callers = [RefusedCaller("portal", 40, "10/m"), RefusedCaller("lms", 30, "10/m")]
    rules = {"receivers": DEFAULT_RULES["receivers"]}
    fleet = FleetFacts(NOW, receivers=[first, second], refused_callers=callers)
    found = conditions_of(rules, AlertFacts(fleet), {"receivers": frozenset()}).found
    subjects = [each.subject for each in found]
    assert subjects == ["fleet wh_1", "fleet wh_2", "fleet portal", "fleet lms"]
    later = AlertFacts(FleetFacts(NOW, receivers=[second]))
    (left,) = conditions_of(rules, later, {"receivers": frozenset()}).found
    assert left.subject == "fleet wh_2"
