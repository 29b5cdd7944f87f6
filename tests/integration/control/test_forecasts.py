"""What an app is told before and after it enqueues."""

from datetime import UTC, datetime, timedelta

import pytest

from sisgate import Gateway
from sisgate.domain.priorities import Priority
from sisgate.errors import BacklogFull, UsageError


def seconds_from_now(moment: datetime | None) -> float:
    """Return how far a time is away."""
    assert moment is not None
    return (moment - datetime.now(UTC)).total_seconds()


def test_a_free_provider_starts_now(gateway: Gateway) -> None:
    """With quota left and nobody waiting the first call is due at once."""
    plan = gateway.plan("lincoln", "students")
    assert plan.calls is None
    assert plan.left == 100
    assert seconds_from_now(plan.starts_at) < 1
    assert plan.done_by is None


def test_a_spent_quota_is_waited_for(gateway: Gateway) -> None:
    """With nothing left the first call is due when the oldest slot is free again."""
    spec = gateway.providers.control("lincoln").limits
    for permit in gateway.context.limiter.take("lincoln", spec, Priority.URGENT, 100).permits:
        gateway.context.limiter.finish("lincoln", permit)
    plan = gateway.plan("lincoln", "students")
    assert plan.left == 0
    assert seconds_from_now(plan.starts_at) == pytest.approx(3600, rel=0.02)


def test_a_paused_provider_starts_when_it_is_resumed(gateway: Gateway) -> None:
    """A pause with an end is waited for; without an end nobody can tell."""
    control = gateway.providers.control("lincoln")
    job = gateway.enqueue_request("lincoln", "GET", "/")
    control.pause(datetime.now(UTC) + timedelta(minutes=10), actor="ana")
    assert seconds_from_now(job.expected_start) == pytest.approx(600, abs=5)
    control.pause(actor="ana")
    assert job.expected_start is None
    assert job.expected_finish is None


@pytest.mark.parametrize("name", ["lincoln", "open"])
def test_a_provider_held_by_its_breaker_starts_when_that_ends(gateway: Gateway, name: str) -> None:
    """With and without a limit, also during a shorter pause; without an end nobody can tell."""
    job = gateway.enqueue_request(name, "GET", "/")
    now = datetime.now(UTC)
    breakers = gateway.providers.breakers(name)
    breakers.set("open", until=now + timedelta(minutes=30), actor="ana")
    assert seconds_from_now(gateway.plan(name, "students").starts_at) >= 1790
    assert seconds_from_now(job.expected_start) == pytest.approx(1800, abs=5)
    gateway.providers.control(name).pause(now + timedelta(minutes=10), actor="ana")
    assert seconds_from_now(job.expected_start) == pytest.approx(1800, abs=5)
    breakers.set("open", actor="ana")
    assert job.expected_start is None
    breakers.set("auto", actor="ana")
    assert seconds_from_now(job.expected_start) == pytest.approx(600, abs=5)


def test_the_backlog_of_higher_priority_goes_first(gateway: Gateway) -> None:
    """Behind urgent work a low job is due later than an urgent one."""
    gateway.providers.control("lincoln").set_limits("1/h", actor="ana")
    for _ in range(2):
        gateway.enqueue_request("lincoln", "GET", "/", priority="urgent")
    low = gateway.plan("lincoln", "students", priority="low")
    assert seconds_from_now(low.starts_at) == pytest.approx(2 * 3600, rel=0.02)


def test_too_much_waiting_work_is_refused(gateway: Gateway) -> None:
    """The job over the cap is not accepted, and the error tells when to come back."""
    for number in range(3):
        gateway.sync("lincoln", "students", idempotency_key=str(number))
    with pytest.raises(BacklogFull) as refused:
        gateway.sync("lincoln", "students")
    assert refused.value.seconds == pytest.approx(36)
    assert len(gateway.jobs.list()) == 3
    gateway.sync("lincoln", "students", idempotency_key="2")


def test_a_deadline_is_kept_with_the_job(gateway: Gateway) -> None:
    """`timeout` and `expires_at` both count; the earlier one holds."""
    soon = datetime.now(UTC) + timedelta(minutes=1)
    job = gateway.sync("lincoln", "orgs", timeout=3600, expires_at=soon)
    assert job.status().expires_at == soon
    with pytest.raises(UsageError, match="time zone"):
        gateway.sync("lincoln", "orgs", expires_at=datetime(2030, 1, 1))  # noqa: DTZ001  # the point
