"""Breakers fixed by hand: for the whole fleet, audited, and kept where Redis cannot lose them."""

from datetime import UTC, datetime, timedelta

import pytest

from sisgate import Gateway
from sisgate.breakers.journal import read_journals
from sisgate.breakers.spec import BreakerToken, State
from sisgate.clock import poll_until
from sisgate.domain.response_class import Outcome
from sisgate.errors import UnknownProvider, UsageError
from sisgate.ledger import controls
from sisgate.ledger.schema import AuditEvent
from sisgate.redis.keys import UNKNOWN_LIMITS
from workers.admission import limiter_recovery
from workers.maintenance import audit
from workers.runtime import Runtime

A, B = "https://sis-a.twin.test", "https://sis-b.twin.test/api"


def states(gateway: Gateway) -> list[tuple[str, bool]]:
    """Return state of each endpoint, and whether it is pinned."""
    found = gateway.providers.breakers("twin").standings()
    return [(one.breaker.state.value, one.breaker.pinned) for one in found]


def events(gateway: Gateway) -> list[AuditEvent]:
    """Return what was audited, oldest first."""
    with gateway.context.database.read() as session:
        return list(session.query(AuditEvent).order_by(AuditEvent.at, AuditEvent.number))


def fail(runtime: Runtime, url: str, times: int) -> None:
    """Let calls fail."""
    breakers = runtime.endpoints(runtime.settings.providers["twin"]).breakers
    for _ in range(times):
        token = breakers.ask(url).token
        assert token is not None
        breakers.report(url, token, Outcome.FAILURE)


def test_a_pin_holds_for_every_worker_at_once(gateway: Gateway, runtime: Runtime) -> None:
    """What a worker asks next is refused, and traffic does not move it."""
    changed = gateway.providers.breakers("twin").set(
        "open", "sis-a", actor="ana", reason="they migrate"
    )
    assert changed == [A]
    breakers = runtime.endpoints(runtime.settings.providers["twin"]).breakers
    assert breakers.ask(A).token is None
    assert breakers.ask(B).token is not None
    gateway.providers.breakers("twin").set("close", "1", actor="ana")
    fail(runtime, A, 30)
    assert states(gateway) == [("closed", True), ("closed", False)]
    gateway.providers.breakers("twin").set("auto", actor="ben")
    assert states(gateway) == [("closed", False), ("closed", False)]
    told = [(e.actor, e.action, e.subject, e.reason, e.detail) for e in events(gateway)]
    assert told == [
        ("ana", "breaker:endpoint:pin", "twin", "they migrate",
         {"endpoint": A, "state": "open"}),
        ("ana", "breaker:endpoint:pin", "twin", None,
         {"endpoint": A, "state": "close"}),
        ("ben", "breaker:endpoint:unpin", "twin", None,
         {"endpoint": A, "state": "auto"}),
    ]  # fmt: skip


def test_without_an_endpoint_all_are_meant(gateway: Gateway) -> None:
    """And doing the same again changes nothing and is not audited."""
    breakers = gateway.providers.breakers("twin")
    assert breakers.set("half-open", actor="ana") == [A, B]
    assert breakers.set("half-open", actor="ana") == []
    assert states(gateway) == [("half-open", True), ("half-open", True)]
    assert len(events(gateway)) == 2


def test_a_pin_outlives_an_emptied_redis(gateway: Gateway, runtime: Runtime) -> None:
    """The reconciler sets it again, to the same end, and what has ended stays ended."""
    until = datetime.now(UTC) + timedelta(hours=1)
    gateway.providers.breakers("twin").set("open", "sis-a", until=until, actor="ana")
    gateway.providers.breakers("twin").set("open", "sis-b", actor="ana")
    runtime.redis.flushall()
    assert states(gateway) == [("closed", False), ("closed", False)]
    limiter_recovery.apply_controls(runtime)
    first, second = gateway.providers.breakers("twin").standings()
    assert (first.breaker.state, second.breaker.state) == (State.OPEN, State.OPEN)
    assert first.breaker.pinned_until == pytest.approx(until, abs=timedelta(milliseconds=2))
    assert second.breaker.pinned_until is None

    with gateway.context.database.write() as session:
        control = controls.lock(session, "twin", until)
        pins = controls.pins_of(control, until - timedelta(seconds=1))
        assert set(pins) == {A, B}
        assert set(controls.pins_of(control, until)) == {B}


def test_a_rebuilt_limiter_finds_the_pins_in_place(gateway: Gateway, runtime: Runtime) -> None:
    """The first permit after a loss is granted with the pins known again."""
    gateway.providers.breakers("twin").set("open", "sis-a", actor="ana")
    runtime.redis.flushall()
    runtime.redis.hset(UNKNOWN_LIMITS(), "twin", 0.0)
    limiter_recovery.rebuild_unknown(runtime)
    assert states(gateway)[0] == ("open", True)


def test_what_redis_did_not_hear_of_comes_later(gateway: Gateway, runtime: Runtime) -> None:
    """It is kept, the person is told so, and an end of it is heard of as well."""
    limit = int(runtime.redis.config_get("maxmemory")["maxmemory"])
    runtime.redis.config_set("maxmemory", 1)
    try:
        breakers = gateway.providers.breakers("twin")
        assert breakers.set("open", "sis-a", actor="ana")
        assert not breakers.holds_now
    finally:
        runtime.redis.config_set("maxmemory", limit)
    assert states(gateway)[0] == ("closed", False)
    limiter_recovery.apply_controls(runtime)
    assert states(gateway)[0] == ("open", True)

    with gateway.context.database.write() as session:
        control = controls.lock(session, "twin", runtime.clock.now())
        control.pins, control.changed_at = {}, runtime.clock.now()
    limiter_recovery.apply_controls(runtime)
    assert states(gateway)[0] == ("open", False)


def test_a_setting_made_on_a_host_whose_clock_is_behind_is_heard_of_too(
    gateway: Gateway, runtime: Runtime
) -> None:
    """Though another provider's setting is younger by the clocks, and has been heard of."""
    gateway.providers.breakers("twin").set("open", "sis-a", actor="ana")
    limiter_recovery.apply_controls(runtime)
    earlier = runtime.clock.now() - timedelta(minutes=1)
    with gateway.context.database.write() as session:
        control = controls.lock(session, "lincoln", earlier)
        control.paused, control.changed_at = True, earlier
    limiter_recovery.apply_controls(runtime)
    assert gateway.providers.control("lincoln").state().paused_until is not None


def test_a_pin_ends_by_itself(gateway: Gateway, runtime: Runtime) -> None:
    """Without the reconciler, and an open one is then due for a probe."""
    until = runtime.clock.now() + timedelta(seconds=1)
    gateway.providers.breakers("twin").set("open", "sis-a", until=until, actor="ana")
    breakers = runtime.endpoints(runtime.settings.providers["twin"]).breakers
    passed: list[BreakerToken] = []

    def asked() -> bool:
        token = breakers.ask(A).token
        passed.extend([token] if token else [])
        return bool(passed)

    assert poll_until(asked, clock=runtime.clock, timeout_seconds=20)
    assert passed[0].probe == 1
    assert runtime.clock.now() >= until - timedelta(milliseconds=2)


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        (
            "sis-c",
            "'sis-c' is not an endpoint of twin; it has 1 (sis-a.twin.test), 2 (sis-b.twin.test",
        ),
        ("3", "'3' is not an endpoint of twin"),
        ("", "'' is not an endpoint of twin"),
    ],
)
def test_an_unknown_endpoint_is_told_with_those_there_are(
    gateway: Gateway, endpoint: str, message: str
) -> None:
    """A number, a host, or nothing that fits."""
    with pytest.raises(UsageError) as refused:
        gateway.providers.breakers("twin").set("open", endpoint, actor="ana")
    assert message in refused.value.message
    assert not events(gateway)


def test_words_and_times_that_make_no_sense_are_refused(gateway: Gateway) -> None:
    """Nothing is changed by them."""
    breakers, now = gateway.providers.breakers("twin"), datetime.now(UTC)
    with pytest.raises(UsageError, match="open, close, half-open, auto, not 'closed'"):
        breakers.set("closed", actor="ana")
    with pytest.raises(UsageError, match="has already passed"):
        breakers.set("open", until=now - timedelta(seconds=1), actor="ana")
    with pytest.raises(UsageError, match="needs a time zone"):
        breakers.set("open", until=datetime(2090, 1, 1), actor="ana")  # noqa: DTZ001
    with pytest.raises(UsageError, match="takes no end"):
        breakers.set("auto", until=now + timedelta(hours=1), actor="ana")
    with pytest.raises(UnknownProvider):
        gateway.providers.breakers("nobody")
    assert not events(gateway)


def test_each_transition_is_audited_once_whoever_dies(gateway: Gateway, runtime: Runtime) -> None:
    """A copy that was cut off after its commit is not made twice."""
    fail(runtime, A, 3)
    waiting = read_journals(runtime.redis, ["twin"])["twin"]
    # A reconciler that dies here has committed and dropped nothing.
    audit._write(runtime, "twin", waiting)
    fail(runtime, B, 3)
    for _ in range(2):
        audit.audit_transitions(runtime)
    told = events(gateway)
    assert [(e.action, e.reason, (e.detail or {})["endpoint"]) for e in told] == [
        ("breaker:endpoint:change", "failures", A),
        ("breaker:endpoint:change", "failures", B),
    ]
    assert [e.at for e in told] == sorted(e.at for e in told)
    assert read_journals(runtime.redis, ["twin"]) == {}


def test_a_transition_is_in_the_journal_with_the_state_itself(
    gateway: Gateway, runtime: Runtime
) -> None:
    """The worker that opened it may die at once: the next reconciler audits it."""
    fail(runtime, A, 3)
    assert not events(gateway)
    audit.audit_transitions(runtime)
    (event,) = events(gateway)
    assert (event.actor, event.detail) == (
        "worker",
        {"endpoint": A, "before": "closed", "after": "open"},
    )
