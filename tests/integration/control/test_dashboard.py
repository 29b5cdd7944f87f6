"""The fleet at a glance: nothing that somebody warns about is missing, and when work is done."""

from datetime import UTC, datetime, timedelta

import requests

from sisgate import Gateway
from sisgate.access.policy import Principal, Role
from sisgate.breakers.spec import State
from sisgate.domain.priorities import Priority
from sisgate.ledger.schema import Alert
from sisgate.monitoring.counting import count_next
from sisgate.testing import GatewayDouble
from testbed.heartbeats import be_heard

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)

ASKS_PROVIDERS = ("endpoint", "call", "key")
"""The checks of `doctor` that a page does not make: the fleet's breakers and keys tell instead."""


def add(gateway: Gateway, name: str) -> None:
    """Add a provider that takes ten calls an hour."""
    endpoints = [{"url": "https://north.test"}]
    settings = {"kind": "oneroster", "auth": "none", "limit": "10/h", "endpoints": endpoints}
    gateway.configuration.apply(gateway.configuration.plan_provider(name, settings), actor="test")


def test_what_doctor_warns_about_needs_attention(gateway: Gateway) -> None:
    """Also a webhook that is paused, a provider among many, and a file that differs."""
    gateway.configuration.apply(
        gateway.configuration.plan_edit("twin", {"limit": "7/h"}), actor="t"
    )
    hook = gateway.webhooks.add("https://apps.test/hook", ["job.ended"], app="gradebook")
    gateway.webhooks.pause(hook.id, reason="moving")
    gateway.providers.control("lincoln").pause(actor="ada")
    warnings = [
        each
        for each in gateway.diagnosis.run()
        if each.grade != "ok" and not each.subject.endswith(ASKS_PROVIDERS)
    ]
    assert {"configuration", "lincoln", f"webhook {hook.id}"} <= {e.subject for e in warnings}
    needed = gateway.fleet.dashboard().attention
    told = " ".join(f"{each.message} {each.remedy}".lower() for each in needed)
    for each in warnings:
        what = each.what.removeprefix("takes no calls: ").rstrip(".").lower()
        assert what in told, each
    app = gateway.acting_as(Principal("other", frozenset({Role.APP})))
    assert "webhooks" not in {each.subject for each in app.fleet.dashboard().attention}


def test_alerts_are_counted_as_their_page_shows_them(gateway: Gateway) -> None:
    """Those for information besides; a held sync is told of by itself."""
    alerts = (("warning", "provider_down"), ("info", "errors"), ("warning", "sync_held"))
    with gateway.context.database.write() as session:
        for number, (severity, cause) in enumerate(alerts):
            session.add(
                Alert(
                    id=f"al_{number}", rule=cause, subject="lincoln", provider="lincoln",
                    state="firing", severity=severity, cause=cause, culprit="", message=cause,
                    remedy="", evidence={}, since=NOW, seen_at=NOW, changed_at=NOW,
                )
            )  # fmt: skip
    (told,) = [e for e in gateway.fleet.dashboard().attention if e.subject == "alerts"]
    assert told.message == "an alert fires, besides 1 for information, and nobody looks after it"
    assert told.remedy == "The first: provider_down."


def test_the_backlog_is_worked_off_by_priority_unless_nobody_takes_calls(gateway: Gateway) -> None:
    """The urgent first; a provider that is paused without an end leaves its calls stuck."""
    add(gateway, "north")
    be_heard(gateway, ("sisgate", "north", "open", "lincoln", "twin"))
    assert gateway.context.limiter.rebuild("north", gateway.providers.control("north").limits, [])
    gateway.enqueue_request("north", "GET", "/a", priority="urgent")
    for number in range(15):
        gateway.enqueue_request("north", "GET", f"/{number}", priority="low")
    board = gateway.fleet.dashboard()
    assert board.backlog is not None
    assert board.backlog[Priority.LOW] == 15
    assert board.drained_at[Priority.URGENT] - board.at < timedelta(minutes=1)
    assert board.drained_at[Priority.LOW] - board.at > timedelta(minutes=30)
    assert not board.stuck
    (load, *_) = board.providers
    assert load.overview.name == "north"
    assert load.drained_at == board.drained_at[Priority.LOW]
    gateway.providers.control("north").pause(actor="ada")
    board = gateway.fleet.dashboard()
    assert (board.stuck[Priority.LOW], board.drained_at) == (15, {})


def test_what_could_not_even_be_sent_has_failed() -> None:
    """On the board, at the breaker, and in the evidence of the verdict."""
    with GatewayDouble() as double:
        double.answer("skyward", "*", error=requests.ConnectTimeout())
        double.gateway.enqueue_request("skyward", "GET", "/x")
        double.work()
        for _ in range(20):
            double.move(5)
        while not double.admin.providers.breakers("skyward").standings()[0].breaker.wait_seconds:
            double.move(1)  # its probe was due
        double.admin.audit.seal()
        assert count_next(double.admin.context.database)
        board = double.admin.fleet.dashboard()
        assert board.calls == board.failed >= 5
        (load,) = (each for each in board.providers if each.overview.name == "skyward")
        assert load.hold is not None
        assert (load.hold.reason, load.drains) == ("breaker", {})
        (endpoint,) = double.admin.providers.breakers("skyward").standings()
        assert endpoint.breaker.state is not State.CLOSED
        assert endpoint.breaker.failures_in_a_row >= 5
        trouble = double.admin.why("skyward").findings[0]
        assert trouble.evidence["failed"] == trouble.evidence["calls"] >= 1


def test_the_same_trouble_of_many_providers_is_told_once(gateway: Gateway) -> None:
    """A fleet of thousands fits on a screen."""
    for number in range(6):
        add(gateway, f"north-{number}")
        gateway.providers.control(f"north-{number}").pause(actor="ada")
    paused = [e for e in gateway.fleet.dashboard().attention if "is paused" in e.message]
    assert [(each.count, each.provider) for each in paused] == [(6, None)]
    assert paused[0].message.startswith("6 alike, such as: north-")
