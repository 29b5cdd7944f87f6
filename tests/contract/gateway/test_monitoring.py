"""What fires, what fails, and what was agreed on with providers."""

from datetime import timedelta

import pytest

from sisgate.errors import (
    AccessDenied,
    JobFailed,
    UnknownAlert,
    UnknownErrorPattern,
    UnknownProvider,
    UsageError,
)
from sisgate.monitoring.counting import count_next
from tests.contract.gateway.world import LIMITED, NAME, STUDENTS, World

PATH = "/ims/oneroster/rostering/v1p2/students"


def count_calls(world: World) -> None:
    """What a worker does every few seconds."""
    world.fleet.audit.seal()
    while count_next(world.fleet.context.database):
        pass


def test_alerts_fire_and_are_acknowledged(world: World) -> None:
    """The same alert, by its id or the beginning of it."""
    world.fleet.alerts.evaluate()
    alerts = world.admin.alerts
    (fired,) = (each for each in alerts.list(provider=LIMITED) if each.rule == "few-wait")
    assert (fired.provider, fired.state, fired.severity) == (LIMITED, "firing", "critical")
    assert fired.evidence
    assert fired in world.gateway.alerts.list(states=["firing"], provider=LIMITED)
    assert alerts.get(fired.id) == alerts.get(fired.id[:9]) == fired
    assert alerts.list(states=["resolved"]) == []
    acknowledged = alerts.ack(fired.id, actor="ana", note="on it")
    assert (acknowledged.state, acknowledged.note) == ("acknowledged", "on it")
    assert str(acknowledged.acknowledged_by).startswith("ana (token ")
    assert alerts.get(fired.id) == acknowledged
    assert alerts.ack(fired.id, actor="ana").note is None
    with pytest.raises(AccessDenied):
        world.gateway.alerts.ack(fired.id, actor="ana")
    with pytest.raises(UsageError):
        alerts.list(states=["ajar"])
    for unknown in ("al_0000", "silences", "x" * 30, "../tokens"):
        with pytest.raises(UnknownAlert):
            alerts.get(unknown)


def test_alerts_are_silenced_for_some_time(world: World) -> None:
    """Of a rule, of a provider, or of both."""
    until = world.now() + timedelta(hours=1)
    alerts = world.admin.alerts
    silence = alerts.silence(until, rule="few-wait", provider=LIMITED, actor="ana", reason="x")
    assert (silence.until, silence.rule, silence.provider) == (until, "few-wait", LIMITED)
    assert world.gateway.alerts.silences() == [silence]
    alerts.unsilence(silence.id, actor="ana")
    assert alerts.silences() == []
    with pytest.raises(UnknownAlert):
        alerts.unsilence(silence.id, actor="ana")
    for wrong in ({"rule": "no-such-rule"}, {}):
        with pytest.raises(UsageError):
            alerts.silence(until, actor="ana", **wrong)
    with pytest.raises(UsageError):
        alerts.silence(world.now(), rule="few-wait", actor="ana")
    with pytest.raises(UnknownProvider):
        alerts.silence(until, provider="nowhere", actor="ana")
    with pytest.raises(AccessDenied):
        world.gateway.alerts.silence(until, provider=LIMITED, actor="ana")


def test_channels_are_shown_without_urls_and_tested(world: World) -> None:
    """The message waits for a worker."""
    alerts = world.admin.alerts
    (channel,) = alerts.channels()
    assert (channel.name, channel.is_here, channel.waiting) == ("ops", False, 0)
    number = alerts.test("ops", actor="ana")
    assert alerts.was_sent(number) == (False, None)
    with pytest.raises(UnknownAlert):
        alerts.was_sent(number + 1)
    assert alerts.channels()[0].waiting == 1
    for unknown in ("nobody", "a/b"):
        with pytest.raises(UsageError):
            alerts.test(unknown, actor="ana")
    with pytest.raises(AccessDenied):
        world.gateway.alerts.channels()
    with pytest.raises(AccessDenied):
        world.gateway.alerts.was_sent(number)


def test_errors_that_are_alike_are_one_pattern(world: World) -> None:
    """Which somebody takes to be fixed."""
    world.answers({})
    with world.working():
        job = world.gateway.sync(NAME, "students")
        with pytest.raises(JobFailed):
            job.wait(30)
    count_calls(world)
    errors = world.admin.errors
    (pattern,) = errors.list(provider=NAME, since=world.now() - timedelta(hours=1))
    assert (pattern.provider, pattern.status, pattern.last_job) == (NAME, 404, job.id)
    assert (pattern.state, pattern.count) == ("open", pattern.lately)
    assert (pattern.is_new, sum(pattern.by_hour), len(pattern.by_hour)) == (True, pattern.count, 24)
    assert world.gateway.errors.list() == [pattern]
    assert errors.get(pattern.id[:8]) == pattern
    assert sum(errors.history(pattern.id).values()) == pattern.count
    fixed = errors.resolve(pattern.id, fixed_in="1.2.3", actor="ana")
    assert (fixed.state, fixed.fixed_in) == ("resolved", "1.2.3")
    assert str(fixed.resolved_by).startswith("ana (token ")
    assert errors.list() == []
    assert errors.list(states=["open", "resolved"]) == [fixed]
    again = errors.reopen(pattern.id, actor="ana", reason="it is not")
    assert (again.state, again.reopened_at is not None) == ("open", True)
    assert errors.reopen(pattern.id, actor="ana") == again
    assert errors.list() == [again]
    event = world.admin.audit.tail(limit=2)[-1]
    assert (event.action, event.reason) == ("errors:pattern:reopen", "it is not")
    with pytest.raises(UsageError):
        errors.list(states=["ajar"])
    for unknown in ("0000", "x" * 30, "../tokens"):
        with pytest.raises(UnknownErrorPattern):
            errors.get(unknown)
    with pytest.raises(AccessDenied):
        world.gateway.errors.resolve(pattern.id, actor="ana")
    with pytest.raises(AccessDenied):
        world.gateway.errors.reopen(pattern.id, actor="ana")


def test_service_levels_count_what_providers_answered(world: World) -> None:
    """By window, and by the month."""
    world.answers({PATH: {"users": STUDENTS}})
    with world.working():
        assert world.gateway.sync(NAME, "students").wait(30).state == "done"
    count_calls(world)
    sla = world.gateway.sla
    assert [each.name for each in sla.list()] == [NAME, LIMITED]
    found = sla.of(NAME)
    assert found.has_objectives
    assert list(found.windows) == ["1h", "24h", "30d"]
    level = found.windows["1h"]
    (measured,) = level.measurements
    assert (level.calls, level.is_met, list(level.down)) == (sum(level.results.values()), True, [])
    assert (measured.kind, measured.total, measured.burn_rate) == ("availability", level.calls, 0)
    assert level.until - level.since == timedelta(hours=1)
    assert level.as_dict()["objectives"] == [measured.as_dict()]
    report = sla.month(NAME, f"{world.now():%Y-%m}")
    assert (report.month, report.level.name) == (f"{world.now():%Y-%m}", NAME)
    assert report.as_dict()["calls"] == report.level.calls == level.calls
    assert len(report.days) == world.now().day
    assert f"{world.now():%B %Y}" in sla.report(NAME, f"{world.now():%Y-%m}")
    for method in (sla.of, sla.month, sla.report):
        with pytest.raises(UnknownProvider):
            method("nowhere")
    with pytest.raises(UsageError):
        sla.month(NAME, "soon")
