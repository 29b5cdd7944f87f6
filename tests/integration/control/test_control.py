"""Limits and pauses at run time: kept, audited, and seen by every limiter of the fleet."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy.orm import Session

from sisgate import Gateway
from sisgate.admission.limiter import Limiter
from sisgate.cli.invocation import Invocation
from sisgate.cli.main import execute
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.errors import UsageError
from sisgate.ledger import audit_log, controls
from sisgate.ledger.schema import Control
from sisgate.redis.client import connect
from workers.admission import limiter_recovery
from workers.runtime import Runtime


def events(gateway: Gateway) -> list[tuple[str, str, str | None]]:
    """Return actor, action and reason of what was audited, oldest first."""
    with gateway.context.database.read() as session:
        found = audit_log.tail(session, subject="lincoln")
        return [(event.actor, event.action, event.reason) for event in reversed(found)]


def test_a_new_limit_holds_for_another_limiter_at_once(gateway: Gateway, redis_url: str) -> None:
    """A worker elsewhere grants by the new limit with its very next permit."""
    elsewhere = Limiter(connect(redis_url))
    spec = gateway.providers.control("lincoln").limits
    assert len(elsewhere.take("lincoln", spec, Priority.URGENT, 50).permits) == 50

    gateway.providers.control("lincoln").set_limits("20/h", actor="ana", reason="testing")

    grant = elsewhere.take("lincoln", spec, Priority.URGENT, 1)
    assert not grant
    assert grant.reason == "window"
    assert events(gateway) == [("ana", "limits:provider:set", "testing")]


def test_a_limit_set_twice_is_one_change(gateway: Gateway) -> None:
    """Eight workers that pass on the same `rate_limit` leave one event."""
    control = gateway.providers.control("lincoln")
    assert control.set_limits(["500/h", "20/s"], actor="celery")
    assert not control.set_limits(["500/h", "20/s"], actor="celery")
    assert len(events(gateway)) == 1
    assert [w.rate for w in control.state().windows] == [Rate(500, 3600.0), Rate(20, 1.0)]


def test_no_limit_of_its_own_brings_back_the_configured_one(gateway: Gateway) -> None:
    """Setting None ends the override."""
    control = gateway.providers.control("lincoln")
    control.set_limits("7/h", actor="ana")
    control.set_limits(None, actor="ana")
    assert [w.rate for w in control.state().windows] == [Rate(100, 3600.0)]
    assert not control.state().overridden


def test_a_pause_holds_until_its_time(gateway: Gateway) -> None:
    """A paused provider is granted nothing, and says until when."""
    control = gateway.providers.control("lincoln")
    until = datetime.now(UTC) + timedelta(hours=1)
    control.pause(until, actor="ana", reason="maintenance")
    grant = gateway.context.limiter.take("lincoln", control.limits, Priority.URGENT)
    assert grant.reason == "paused"
    assert grant.wait_seconds == pytest.approx(3600, abs=60)

    control.resume(actor="ben")
    assert gateway.context.limiter.take("lincoln", control.limits, Priority.URGENT)
    assert [(actor, action) for actor, action, _ in events(gateway)] == [
        ("ana", "limits:provider:pause"),
        ("ben", "limits:provider:resume"),
    ]


@pytest.mark.parametrize("until", [datetime(2999, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)])  # noqa: DTZ001 - without a zone is the point
def test_an_end_of_a_pause_that_makes_no_sense_is_refused(
    gateway: Gateway, until: datetime
) -> None:
    """Without its zone, or long ago; nothing is audited."""
    with pytest.raises(UsageError, match=r"until needs a time zone|The end of the pause"):
        gateway.providers.control("lincoln").pause(until, actor="ana")
    assert events(gateway) == []


def test_what_was_set_is_in_the_ledger(gateway: Gateway) -> None:
    """A wiped Redis cannot lose it: the rebuild finds it in SQL."""
    gateway.providers.control("lincoln").set_limits("7/h", actor="ana")
    gateway.providers.control("lincoln").pause(actor="ana")
    with gateway.context.database.read() as session:
        kept = controls.get(session, "lincoln")
        assert kept is not None
        assert controls.windows_of(kept) == (Rate(7, 3600.0),)
        assert kept.paused
        assert kept.paused_until is None


@pytest.mark.parametrize("text", ["", "fast", "0/h", "10", "10/0s", "-1/h"])
def test_a_limit_that_is_none_is_refused(gateway: Gateway, text: str) -> None:
    """Nothing is changed by a rate that cannot be read."""
    with pytest.raises(UsageError):
        gateway.providers.control("lincoln").set_limits(text, actor="ana")
    assert not events(gateway)


def test_a_provider_without_a_limit_cannot_be_given_one(gateway: Gateway) -> None:
    """Its calls are not counted, so a limit could not be kept; the message says what to do."""
    with pytest.raises(UsageError, match="off in the configuration"):
        gateway.providers.control("open").set_limits("10/h", actor="ana")


@pytest.fixture
def alone(gateway: Gateway) -> Iterator[Gateway]:
    """A gateway on the same ledger that does not reach Redis."""
    lost = gateway.settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")})
    made = Gateway(lost, database=gateway.context.database)
    yield made
    made.close()


def test_a_change_that_redis_did_not_hear_of_is_kept_and_holds_later(
    gateway: Gateway, alone: Gateway, runtime: Runtime
) -> None:
    """No error: whoever asks is told that it does not hold yet."""
    control = alone.providers.control("lincoln")
    assert control.set_limits("7/h", actor="ana")
    assert not control.holds_now
    control.pause(actor="ana")
    assert not control.holds_now
    limiter_recovery.apply_controls(runtime)
    state = gateway.providers.control("lincoln").state()
    assert [window.rate for window in state.windows] == [Rate(7, 3600.0)]
    assert state.paused_until is not None
    control.resume(actor="ana")
    limiter_recovery.apply_controls(runtime)
    assert gateway.providers.control("lincoln").state().paused_until is None


def test_a_change_is_never_undone_by_a_worker_that_read_earlier(
    gateway: Gateway, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for a moment: calls would be made of a provider that is paused, or above its limit."""
    control = gateway.providers.control("lincoln")
    control.pause(actor="ana")
    control.resume(actor="ana")
    seen = []

    def read_then_changed(session: Session) -> Sequence[Control]:
        monkeypatch.undo()
        found = controls.all_set(session)
        session.expunge_all()
        control.set_limits("7/h", actor="ana")
        control.pause(actor="ana")
        gateway.providers.breakers("lincoln").set("open", actor="ana")
        monkeypatch.setattr(runtime.wakeups, "signal_work", written)
        return found

    def written(_: str) -> None:
        state = control.state()
        pinned = [each.breaker.pinned for each in gateway.providers.breakers("lincoln").standings()]
        seen.append((state.paused_until is not None, str(state.windows[0].rate), all(pinned)))

    monkeypatch.setattr(controls, "all_set", read_then_changed)
    limiter_recovery.apply_controls(runtime)
    assert seen
    assert set(seen) == {(True, "7/h", True)}


@pytest.mark.parametrize(
    "words",
    [
        ["limits", "set", "lincoln", "7/h"],
        ["limits", "set", "lincoln", "--reset"],
        ["pause", "lincoln"],
        ["resume", "lincoln"],
        ["breaker", "lincoln", "open"],
    ],
)
def test_the_command_says_what_is_kept_only(
    alone: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    """A warning and 0: there is nothing to be done again."""
    monkeypatch.setattr(Invocation, "gateway", alone)
    monkeypatch.setattr(Invocation, "settings", alone.settings)
    assert execute([*words, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["holds_now"] is False
    assert "The change is in the ledger" in said.err


@pytest.mark.parametrize(("limit", "is_more"), [("7/h", False), ("9999/s", True)])
def test_the_command_warns_of_a_limit_above_the_configured_one(
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    limit: str,
    is_more: bool,
) -> None:
    """It is set all the same: the provider may have raised its quota."""
    monkeypatch.setattr(Invocation, "gateway", gateway)
    monkeypatch.setattr(Invocation, "settings", gateway.settings)
    assert execute(["limits", "set", "lincoln", limit]) == 0
    said = capsys.readouterr()
    assert limit in said.out
    assert ("more than the configured" in said.err) is is_more
    state = gateway.providers.control("lincoln").state()
    assert [str(window.rate) for window in state.windows] == [limit]


def test_a_command_that_needs_redis_says_how_to_get_one(
    alone: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sisgate up` starts it."""
    monkeypatch.setattr(Invocation, "gateway", alone)
    monkeypatch.setattr(Invocation, "settings", alone.settings)
    assert execute(["limits", "show", "lincoln"]) == 4
    assert "Start `sisgate up`" in capsys.readouterr().err
