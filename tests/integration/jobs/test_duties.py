"""The fleet's duties: done by one worker at a time, and by another when that one is gone."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any, Never

import pytest
from pydantic import SecretStr

from sisgate.alerts.facts import AlertFacts
from sisgate.errors import DatabaseUnavailable
from sisgate.gateway import Job
from sisgate.gateway.alert_facts import read_alert_facts
from sisgate.ledger import jobs
from sisgate.ledger.database import Database
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import DUTIES_LEASE, UNKNOWN_LIMITS
from sisgate.settings import Settings
from testbed.clock import ManualClock
from testbed.heartbeats import be_heard
from testbed.installation import install
from testbed.worker import runtime_of
from workers.jobs import planning
from workers.maintenance import duties
from workers.maintenance.duties import EVERY_SECONDS, FAILED_SECONDS, LEASE_SECONDS, Turns
from workers.maintenance.reconciler import PROVEN_SECONDS
from workers.runtime import Runtime

READS = "sisgate.gateway.alert_evaluation.read_alert_facts"
"""What each evaluation begins with."""

# Without alerts: this fleet has no beat, which would be noted.
CONFIG = """
[alerts]
defaults = false

[providers.lincoln]
kind = "oneroster"
auth = "none"
limit = "100/h"
[[providers.lincoln.endpoints]]
url = "https://lincoln.test"
"""


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, ledger_url: str) -> Settings:
    """One provider."""
    return install(tmp_path, CONFIG, redis_url=redis_url, database_url=ledger_url)


@pytest.fixture
def runtimes(settings: Settings, clock: ManualClock) -> Iterator[list[Runtime]]:
    """Two workers, and the clock of both."""
    with ExitStack() as stack:
        yield [stack.enter_context(runtime_of(settings, clock)) for _ in range(2)]


@pytest.fixture
def runtime(runtimes: list[Runtime]) -> Runtime:
    """The first worker."""
    return runtimes[0]


def accepted(runtime: Runtime) -> Job:
    """Accept a sync whose plan message nobody takes."""
    return runtime.gateway.sync("lincoln", "orgs")


def reconciled(monkeypatch: pytest.MonkeyPatch) -> list[Runtime]:
    """Record who reconciles, in place of doing it."""
    by: list[Runtime] = []
    counted = duties.Duty("reconcile", by.append, 1.0)
    monkeypatch.setattr(duties, "DUTIES", (counted,))
    return by


def test_one_of_two_workers_does_them(
    runtimes: list[Runtime], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in each second, and the other one when the lease has ended or was given up."""
    by = reconciled(monkeypatch)
    first, second = runtimes
    turns = {"first": Turns(first, "first"), "second": Turns(second, "second")}
    for _ in range(5):
        assert [each.take() for each in turns.values()] == [EVERY_SECONDS] * 2
        clock.advance(EVERY_SECONDS)
    assert by == [first] * 5
    lease = first.redis.pttl(DUTIES_LEASE())
    assert 0 < lease <= LEASE_SECONDS * 1000
    first.redis.delete(DUTIES_LEASE())  # as Redis does when it has ended
    turns["second"].take()
    turns["first"].take()
    assert by[5:] == [second]
    turns["second"].give_up()
    turns["first"].give_up()
    turns["first"].take()
    assert by[6:] == [first]


def test_a_worker_that_fails_lets_another_one_try(
    runtimes: list[Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the only one that does not reach the ledger. No failure ends its thread."""
    first, second = runtimes
    failing: set[Runtime] = {first}
    done: list[Runtime] = []

    def do(runtime: Runtime) -> None:
        if runtime in failing:
            raise DatabaseUnavailable("The ledger is away.")
        done.append(runtime)

    monkeypatch.setattr(duties, "DUTIES", (duties.Duty("reconcile", do, 1.0),))
    waits = Turns(first, "first").take()
    assert FAILED_SECONDS[0] <= waits <= FAILED_SECONDS[1]
    Turns(second, "second").take()
    assert done == [second]


def test_without_redis_jobs_still_end_in_time(settings: Settings, clock: ManualClock) -> None:
    """There is no lease; each worker does what the ledger allows, now and then."""
    gone = {"broker_url": SecretStr("redis://127.0.0.1:1/0")}
    with runtime_of(settings, clock) as runtime:
        job = runtime.gateway.sync("lincoln", "orgs", timeout=10)
        alone = Runtime(settings.model_copy(update=gone), clock)
        turns = Turns(alone, "alone")
        turns.take()
        assert not job.status().is_final
        clock.advance(11)
        turns.take()
        error = job.status().error or {}
        assert (error["code"], error["cause"]) == ("job_expired", "redis_unreachable")
        alone.alert_judge.stop()
        alone.database.dispose()


def test_a_sync_is_planned_by_any_worker_where_no_planner_is_alive(
    runtime: Runtime, clock: ManualClock
) -> None:
    """After a moment; and while one is alive it gets the time to do it."""
    job = accepted(runtime)
    turns = Turns(runtime, "first")
    clock.advance(2)
    turns.take()
    assert job.status().state == "accepted"
    clock.advance(2)
    turns.take()
    assert job.status().state == "running"


def test_a_planner_that_is_alive_has_half_a_minute(runtime: Runtime, clock: ManualClock) -> None:
    """Its messages may just wait; after that they are lost, or it is."""
    be_heard(runtime.gateway)
    job = accepted(runtime)
    turns = Turns(runtime, "first")
    for _ in range(7):
        clock.advance(4)
        turns.take()
    assert job.status().state == "accepted"
    clock.advance(4)
    turns.take()
    assert job.status().state == "running"


def test_what_was_never_published_goes_to_the_planner_that_is_alive(
    runtime: Runtime, clock: ManualClock, redis: RedisClient
) -> None:
    """It may be thousands of jobs."""
    be_heard(runtime.gateway)
    job = accepted(runtime)
    redis.delete("sisgate", *redis.scan_iter("sisgate\x06*"))
    with runtime.database.write() as session:
        jobs.mark_published(session, [job.id], None)
    clock.advance(4)
    Turns(runtime, "first").take()
    assert job.status().state == "accepted"
    (queue,) = redis.scan_iter("sisgate\x06*")
    assert redis.llen(queue) == 1


def test_a_job_that_cannot_be_planned_holds_up_no_other(
    runtime: Runtime, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with it is logged each time."""
    syncs = [accepted(runtime) for _ in range(3)]
    plan = planning.plan

    def failing(runtime: Runtime, job_id: str) -> None:
        if job_id == syncs[0].id:
            raise ZeroDivisionError
        plan(runtime, job_id)

    monkeypatch.setattr(planning, "plan", failing)
    clock.advance(4)
    Turns(runtime, "first").take()
    assert [job.status().state for job in syncs] == ["accepted", "running", "running"]


def test_a_provider_that_a_worker_does_not_know_is_left_to_others(
    runtime: Runtime, redis: RedisClient
) -> None:
    """It is not forgotten that its limiter is to be rebuilt."""
    redis.hset(UNKNOWN_LIMITS(), "elsewhere", "1.0")
    Turns(runtime, "first").take()
    assert redis.hexists(UNKNOWN_LIMITS(), "elsewhere")


def test_an_idle_fleet_takes_no_write_lock(
    runtime: Runtime, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading is enough to know that there is nothing to do, once writing is proven for a while."""
    turns = Turns(runtime, "first")
    turns.take()
    clock.advance(100)
    turns.take()
    runtime.alert_judge.join(10)
    clock.advance(EVERY_SECONDS)
    monkeypatch.setattr(type(runtime.database), "write", lambda _: 1 / 0)
    for _ in range(5):
        assert turns.take() == EVERY_SECONDS
        runtime.alert_judge.join(10)
        clock.advance(EVERY_SECONDS)


def test_a_ledger_that_takes_no_writes_is_told_though_there_is_nothing_to_write(
    runtime: Runtime, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only file or a standby reads well; a reconcile that reads proves nothing."""
    turns = Turns(runtime, "first")
    turns.take()
    runtime.alert_judge.join(10)
    monkeypatch.setattr(type(runtime.database), "write", _refuse)
    clock.advance(1)
    turns.take()
    assert runtime.heartbeats.read().reconcile_failure is None
    clock.advance(PROVEN_SECONDS)
    turns.take()
    fleet = runtime.heartbeats.read()
    assert fleet.reconcile_failure == "It is read-only."
    assert fleet.failure_code == DatabaseUnavailable.code


def _refuse(_: Database) -> Never:
    raise DatabaseUnavailable("It is read-only.")


def test_reconcile_goes_on_while_alerts_are_judged(
    runtime: Runtime, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With thousands of providers that takes seconds. A worker that ends waits for it."""
    begun, goes_on, judged = Event(), Event(), Event()

    def slowly(*args: Any) -> AlertFacts:
        begun.set()
        assert goes_on.wait(30)
        facts = read_alert_facts(*args)
        judged.set()
        return facts

    monkeypatch.setattr(READS, slowly)
    job = runtime.gateway.sync("lincoln", "orgs", timeout=10)
    turns = Turns(runtime, "first")
    turns.take()
    assert begun.wait(30)
    clock.advance(60)  # the next slot, which waits for this one
    turns.take()
    assert job.status().state == "expired"
    assert not judged.is_set()
    goes_on.set()
    runtime.alert_judge.stop()
    assert judged.is_set()
    begun.clear()
    clock.advance(60)
    turns.take()
    assert not begun.is_set()


def test_a_worker_that_cannot_judge_alerts_lets_another_one_try(
    runtime: Runtime, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is known by its next turn; after that it tries again."""

    def failing(*_: Any) -> AlertFacts:
        raise DatabaseUnavailable("The ledger is away.")

    monkeypatch.setattr(READS, failing)
    turns = Turns(runtime, "first")
    assert turns.take() == EVERY_SECONDS
    runtime.alert_judge.join(30)
    clock.advance(EVERY_SECONDS)
    assert FAILED_SECONDS[0] <= turns.take() <= FAILED_SECONDS[1]
    assert not runtime.redis.exists(DUTIES_LEASE())
    assert turns.take() == EVERY_SECONDS
