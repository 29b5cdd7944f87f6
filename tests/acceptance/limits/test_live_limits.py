"""Limits, deadlines and shares in a running fleet."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import update

from sisgate.domain.states import JobState
from sisgate.ledger import audit_log
from sisgate.ledger import schema as tables
from sisgate.sandbox.process import SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from testbed.stack import Stack, running, wait_until

FAIR = 0.1
"""Two apps of the same weight may differ by this share of what both got."""


@pytest.fixture
def stack(tmp_path: Path, redis_url: str, sqlite_url: str) -> Iterator[Stack]:
    """A fleet on a district that is limited to four calls at first."""
    spec = SandboxSpec((DistrictSpec("skyward", "skyward", students=600, quota=None),))
    options = {"skyward": {"limit": "4/h", "burst": 4, "page_size": 20}}
    with SandboxProcess(spec) as sandbox:
        stack = Stack(
            tmp_path, sandbox, redis_url=redis_url, database_url=sqlite_url, options=options
        )
        with running(stack, concurrency=4):
            yield stack


def done(stack: Stack) -> int:
    """Return how many jobs are done."""
    return len(stack.gateway.jobs.list(states=[JobState.DONE], limit=500))


def test_rate_limit_of_celery_changes_the_limit_of_the_fleet(stack: Stack) -> None:
    """`control.rate_limit`, as Flower sends it: 2 is 2 an hour, 0 ends that, nothing raises it."""
    operator = Celery(broker=stack.redis_url)
    task = "sisgate.call.skyward"

    def ask(limit: str) -> dict[str, str]:
        (reply,) = operator.control.rate_limit(task, limit, reply=True, timeout=30, limit=1)
        return dict(next(iter(reply.values())))

    def windows() -> list[str]:
        return [
            str(window.rate)
            for window in stack.gateway.providers.control("skyward").state().windows
        ]

    ping = operator.control.ping
    wait_until(lambda: bool(ping(timeout=1, limit=1)), "the worker listens")
    assert ask("2") == {"ok": "skyward: 2/h for the whole fleet"}
    wait_until(lambda: windows() == ["2/h"], "the lower limit")
    for _ in range(4):
        stack.gateway.enqueue_request("skyward", "GET", "/ims/oneroster/v1p2/orgs")
    wait_until(lambda: done(stack) == 2, "the two calls of the lower limit")
    listed = operator.control.inspect(timeout=30, limit=1).registered() or {}
    assert f"{task} [rate_limit=2/h]" in next(iter(listed.values()))

    # A worker does not compare with what it heard last: the limit may have changed elsewhere.
    stack.gateway.providers.control("skyward").set_limits(None, actor="ana")
    listed = operator.control.inspect(timeout=30, limit=1).registered() or {}
    assert f"{task} [rate_limit=4/h]" in next(iter(listed.values()))
    assert "ok" in ask("2")
    wait_until(lambda: windows() == ["2/h"], "the same limit once more")

    assert "more than the configured limit of skyward, 4/h" in ask("5/h")["error"]
    assert "is not a limit" in ask("fast")["error"]
    operator.send_task("sisgate.limits.set", ["skyward", "1000/h"], queue="sisgate")
    assert ask("0") == {"ok": "skyward: 4/h for the whole fleet, as configured"}
    wait_until(lambda: windows() == ["4/h"], "the configured limit")

    def audited(action: str, actor: str) -> bool:
        with stack.gateway.context.database.read() as session:
            return (action, actor) in {
                (event.action, event.actor) for event in audit_log.tail(session, subject="skyward")
            }

    assert audited("limits:provider:set", "celery")
    wait_until(lambda: audited("access:control:refuse", "broker"), "what was refused is noted")


def test_a_pause_stops_all_calls_and_work_waits(stack: Stack) -> None:
    """Nothing is called while a provider is paused, no attempt is spent, and it goes on after."""
    stack.gateway.providers.control("skyward").pause(actor="ana")
    job = stack.gateway.enqueue_request("skyward", "GET", "/ims/oneroster/v1p2/orgs")
    late = stack.gateway.enqueue_request("skyward", "GET", "/ims/oneroster/v1p2/orgs", timeout=2)

    assert stack.gateway.jobs.wait(late.id, 30).state is JobState.EXPIRED
    expired_at = late.status().ended_at
    deadline = late.status().expires_at
    assert expired_at is not None
    assert deadline is not None
    assert deadline <= expired_at
    assert job.status().calls_made == 0
    assert stack.sandbox.stats("skyward")["in_window"] == 0

    stack.gateway.providers.control("skyward").resume(actor="ana")
    assert job.wait(60).state is JobState.DONE


def test_a_call_that_was_never_sent_costs_nothing(stack: Stack) -> None:
    """Without a key no call leaves the machine: no permit is spent, and the job says why."""
    with stack.gateway.context.database.write() as session:
        session.execute(update(tables.Key).values(state="retired"))
    job = stack.gateway.enqueue_request("skyward", "GET", "/ims/oneroster/v1p2/orgs")
    status = stack.gateway.jobs.wait(job.id, 60)
    assert status.state is JobState.FAILED
    assert (status.error or {})["code"] == "credentials"
    assert status.calls_made == 0
    assert [w.used for w in stack.gateway.providers.control("skyward").state().windows] == [0]


def test_two_apps_of_one_priority_share_the_quota(stack: Stack) -> None:
    """A sync of 180 calls and one of 32 get the same number of calls while both have some."""
    stack.gateway.providers.control("skyward").set_limits("10/s", actor="ana")
    large = stack.gateway.sync("skyward", "enrollments", mode="full", app="large")
    small = stack.gateway.sync("skyward", "students", mode="full", app="small")

    def made() -> tuple[int, int]:
        return large.status().calls_made, small.status().calls_made

    wait_until(lambda: made()[1] >= 20, "the small sync gets its share")
    of_large, of_small = made()
    assert abs(of_large - of_small) <= FAIR * (of_large + of_small) + 10  # a window under way


def test_what_was_forecast_comes_true(stack: Stack) -> None:
    """A plan names the calls of the last sync, and a job's expected finish is near its real one."""
    stack.gateway.providers.control("skyward").set_limits("500/10s", actor="ana")
    first = stack.sync("skyward", "students", mode="full")
    plan = stack.gateway.plan("skyward", "students")
    assert plan.calls == first.calls_made
    assert plan.left is not None
    assert plan.left <= 500
    assert plan.starts_at is not None
    assert plan.done_by is not None
    assert plan.starts_at <= plan.done_by
    assert plan.done_by > datetime.now(UTC)
