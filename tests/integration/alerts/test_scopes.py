"""Who may see a part of the providers sees what concerns it, however much else there is."""

from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta

import pytest

from sisgate import Gateway
from sisgate.access.policy import Principal, Role, Scope
from sisgate.domain.alert_states import AlertState
from sisgate.domain.rates import Rate
from sisgate.errors import TooManyRequests, UnknownAlert
from sisgate.ledger.schema import Alert, AlertSilence, ErrorPattern, Webhook
from sisgate.quarantine import Quarantine
from sisgate.web.inbound import InboundLimits

NOW = datetime.now(UTC)


@pytest.fixture
def busy(gateway: Gateway) -> Gateway:
    """A fleet with much news of one provider, and a little older news of another."""
    with gateway.context.database.write() as session:
        for number in range(6):
            name = "open" if number == 0 else "twin"
            at = NOW + timedelta(seconds=number)
            session.add(
                Alert(
                    id=f"al_{number}", rule="r", subject=f"{name} {number}", provider=name,
                    state="firing", severity="critical" if number == 0 else "warning", cause="c",
                    culprit="c", message="m", remedy="r", evidence={}, since=at, seen_at=at,
                    changed_at=at,
                )
            )  # fmt: skip
            session.add(
                ErrorPattern(
                    id=f"er_{number}", provider=name, endpoint="e", code="c", message="m", count=1,
                    first_seen=at, last_seen=at, state="open",
                )
            )  # fmt: skip
        for name in ("open", "twin"):
            session.add(
                AlertSilence(
                    id=f"si_{name}", rule="r", provider=name, until=NOW + timedelta(days=1),
                    set_by="ada", reason=f"of {name}", created_at=NOW,
                )
            )  # fmt: skip
    return gateway


def as_viewer(gateway: Gateway, scope: str) -> Gateway:
    """The gateway of a viewer with one scope."""
    return gateway.acting_as(Principal("eve", frozenset({Role.VIEWER}), (Scope.parse(scope),)))


def as_app(gateway: Gateway, name: str) -> Gateway:
    """The gateway of an app with every scope."""
    return gateway.acting_as(Principal(name, frozenset({Role.APP})))


def test_a_bound_counts_what_the_caller_may_see(busy: Gateway) -> None:
    """Not what others have, behind which the caller's own would never be seen."""
    viewer = as_viewer(busy, "open/students")
    assert [each.id for each in viewer.alerts.list(limit=3)] == ["al_0"]
    assert [each.id for each in viewer.errors.list(limit=3)] == ["er_0"]


def test_the_worst_alert_is_within_the_bound(busy: Gateway) -> None:
    """However old it is."""
    assert [each.id for each in as_viewer(busy, "*").alerts.list(limit=2)] == ["al_0", "al_5"]


def test_what_has_ended_comes_after_the_rest(busy: Gateway) -> None:
    """However bad it was; the newest first."""
    with busy.context.database.write() as session:
        for alert_id in ("al_0", "al_1", "al_5"):
            row = session.get(Alert, alert_id)
            assert row is not None
            row.state = "resolved"
    found = as_viewer(busy, "*").alerts.list(states=list(AlertState), limit=5)
    assert [each.id for each in found] == ["al_4", "al_3", "al_2", "al_5", "al_1"]


def test_silences_of_other_providers_are_not_shown(busy: Gateway) -> None:
    """Nor why somebody set them."""
    assert [each.id for each in as_viewer(busy, "open").alerts.silences()] == ["si_open"]
    assert len(as_viewer(busy, "*").alerts.silences()) == 2


def test_long_words_of_people_are_cut(busy: Gateway) -> None:
    """As the columns are, on each database."""
    busy.alerts.ack("al_0", actor="a" * 200, note="n" * 900)
    busy.alerts.silence(NOW + timedelta(days=1), provider="open", actor="a" * 200, reason="r" * 900)
    (alert,) = busy.alerts.list(states=["acknowledged"])
    assert (len(alert.acknowledged_by or ""), len(alert.note or "")) == (100, 500)


def test_an_app_is_not_told_of_other_apps(busy: Gateway) -> None:
    """It learns that others have spent the quota, and not who; operators learn it."""
    spent = {"app": "reports", "calls_by_app": {"reports": 30, "reports-old": 9, "portal": 2}}
    with busy.context.database.write() as session:
        row = session.get(Alert, "al_1")
        assert row is not None
        row.culprit, row.evidence = "app reports", spent
        row.message = "the quota of twin is used up; by reports 30, portal 2, reports-old 9; wait"
        row.remedy = "Correct the requests of reports."
    app = busy.acting_as(Principal("portal", frozenset({Role.APP}), (Scope.parse("twin"),)))
    alert = app.alerts.get("al_1")
    assert alert in app.alerts.list()
    assert "reports" not in str(alert)
    assert (alert.culprit, alert.remedy) == (
        "app other apps", "Correct the requests of other apps.",
    )  # fmt: skip
    assert alert.evidence["calls_by_app"] == {"other apps": 39, "portal": 2}
    assert alert.message.endswith("; by other apps 39, portal 2; wait")
    assert as_viewer(busy, "twin").alerts.get("al_1").evidence == spent


def test_what_fails_at_an_app_itself_is_told_to_it_and_to_operators(busy: Gateway) -> None:
    """Neither to other apps, nor to who sees some providers only; they see the fleet's own."""
    with busy.context.database.write() as session:
        for app in ("billing", "portal", None):
            evidence = {"webhook": f"wh_{app}", "app": app} if app else {}
            session.add(
                Alert(
                    id=f"al_{app}", rule="f", subject=f"fleet {app}", provider=None,
                    state="firing", severity="critical", cause="c", culprit=f"app {app}",
                    message=f"{app}.test fails", remedy="r", evidence=evidence, since=NOW,
                    seen_at=NOW, changed_at=NOW,
                )
            )  # fmt: skip
    for caller, apps in (
        (busy, {"billing", "portal"}),
        (as_viewer(busy, "*"), {"billing", "portal"}),
        (as_viewer(busy, "open"), set()),
        (as_app(busy, "portal"), {"portal"}),
    ):
        seen = {f"al_{app}" for app in apps} | {"al_None"}
        assert {each.id for each in caller.alerts.list(limit=len(seen) + 1)} == {*seen, "al_0"}
        for app in ("billing", "portal", None):
            with nullcontext() if f"al_{app}" in seen else pytest.raises(UnknownAlert):
                assert caller.alerts.get(f"al_{app}").culprit == f"app {app}"
        (told,) = (each for each in caller.fleet.dashboard().attention if each.subject == "alerts")
        assert told.count == len(caller.alerts.list())


def test_why_tells_of_no_other_app_and_counts_no_other_messages(gateway: Gateway) -> None:
    """Its receivers and refusals are for it and for who sees the whole installation."""
    for app in ("billing", "portal"):
        hook = as_app(gateway, app).webhooks.add(f"https://{app}.example/in", ["job.ended"])
        with gateway.context.database.write() as session:
            row = session.get_one(Webhook, hook.id)
            row.failures, row.last_error, row.failing_since = 40, "it answered 500", NOW
        for _ in range(30):
            with suppress(TooManyRequests):
                InboundLimits(gateway).count(Rate.parse("10/m"), app)
    for queue in ("open", "twin", "twin"):
        Quarantine(gateway.context.redis).put(b"{}", "it is no task", queue)

    def told(caller: Gateway) -> tuple[list[str], list[object]]:
        found = caller.why().findings
        parties = [str(each.party) for each in found if "app" in each.evidence]
        return sorted(parties), [e.evidence["messages"] for e in found if "messages" in e.evidence]

    both = ["app billing"] * 2 + ["app portal"] * 2
    assert told(gateway) == told(as_viewer(gateway, "*")) == (both, [3])
    assert told(as_app(gateway, "portal")) == (["app portal"] * 2, [3])
    assert told(as_viewer(gateway, "open")) == ([], [1])
    assert told(as_viewer(gateway, "lincoln")) == ([], [])
