"""Work that waits says why, in one wording on every screen and in the errors of expired jobs."""

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text

from sisgate import Gateway, Job
from sisgate.cli.invocation import Invocation
from sisgate.cli.main import execute
from sisgate.clock import SystemClock, poll_until
from sisgate.errors import JobExpired
from sisgate.gateway import Cause
from sisgate.ledger import migrate
from sisgate.liveness.heartbeats import Heartbeats
from testbed.heartbeats import BEAT, TIMES, WORKER, be_heard
from workers.maintenance import reconciler
from workers.runtime import Runtime

Run = Callable[..., str]


@pytest.fixture
def run(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command beside the gateway's fleet; return all that it said."""
    monkeypatch.setattr(Invocation, "gateway", gateway)
    monkeypatch.setattr(Invocation, "settings", gateway.settings)

    def said(*words: str) -> str:
        execute([*words])
        captured = capsys.readouterr()
        return " ".join((captured.out + captured.err).replace("│", " ").split())

    return said


def be_silent(gateway: Gateway, process: str, seconds: float) -> None:
    """Let a process be heard of last so many seconds ago."""
    now, _ = gateway.context.redis.time()
    gateway.context.redis.zadd(TIMES, {process: (now - seconds) * 1000})


def no_worker(gateway: Gateway) -> str:
    """Leave lincoln without a worker; return how that is told."""
    be_heard(gateway, queues=("sisgate", "open", "twin"))
    return "no worker serves lincoln"


def no_beat(gateway: Gateway) -> str:
    """Let beat be silent."""
    be_silent(gateway, BEAT.id, 40)
    return "beat has not been seen for "


def no_planner(gateway: Gateway) -> str:
    """Have a worker of the providers only."""
    be_heard(gateway, queues=gateway.settings.providers)
    return "the planner is not running"


def no_reconcile(gateway: Gateway) -> str:
    """Let all live, and no reconcile succeed."""
    gateway.context.redis.delete("sisgate:1:reconciles")
    Heartbeats(gateway.context.redis).note_reconcile("the database is read-only")
    return "no reconcile has succeeded yet (the database is read-only)"


def reconcile_after_the_deadline(runtime: Runtime, *jobs: Job) -> None:
    """Reconcile as soon as the jobs have expired by the runtime's clock."""
    deadlines = [each for job in jobs if (each := job.status().expires_at)]
    assert len(deadlines) == len(jobs)
    assert poll_until(
        lambda: runtime.clock.now() > max(deadlines), clock=SystemClock(), timeout_seconds=30
    )
    reconciler.reconcile(runtime)


@pytest.mark.parametrize("missing", [no_beat, no_planner])
def test_what_stands_still_without_stopping_a_job_is_told(
    gateway: Gateway, run: Run, missing: Callable[[Gateway], str]
) -> None:
    """Where the fleet and its periodic tasks are shown, and not as a reason why a job waits."""
    words = missing(gateway)
    job = gateway.enqueue_request("lincoln", "GET", "/orgs")
    for command in (
        ("doctor",),
        ("doctor", "--json"),
        ("providers",),
        ("providers", "show", "lincoln"),
        ("schedules", "list"),
    ):
        said = run(*command).lower()
        assert words.lower() in said, command
        assert "schedules, key rotation, health checks" in said, command
    assert "starts now" in run("plan", "lincoln", "students")
    assert gateway.jobs.waits_for(job.id) is None
    (obstacle,) = gateway.fleet.liveness().periodic
    assert f'cause="{obstacle.cause}"' in gateway.fleet.openmetrics()


@pytest.mark.parametrize("missing", [no_worker, no_reconcile])
def test_every_screen_tells_what_is_missing_in_the_same_words(
    gateway: Gateway, run: Run, missing: Callable[[Gateway], str]
) -> None:
    """People and programs, before a job is asked for, while it waits, and when its time is over."""
    before = (run("providers", "show", "lincoln"), run("plan", "lincoln", "students"))
    assert "ready" in before[0]
    assert "starts now" in before[1]
    words = missing(gateway)
    with pytest.raises(JobExpired, match=f"(?i){words.split('(')[0]}"):
        gateway.request("lincoln", "GET", "/orgs", timeout=0.1)
    job = gateway.enqueue_request("lincoln", "GET", "/orgs")
    for command in (
        ("request", "lincoln", "GET", "/orgs", "--timeout", "0.1"),
        ("doctor",),
        ("doctor", "--json"),
        ("providers",),
        ("providers", "--json"),
        ("providers", "show", "lincoln"),
        ("jobs", "show", job.id),
        ("jobs", "show", job.id, "--json"),
        ("plan", "lincoln", "students"),
        ("plan", "lincoln", "students", "--json"),
        ("sync", "lincoln", "students"),
        ("sync", "lincoln", "students", "--wait", "--timeout", "0.1"),
    ):
        assert words.lower() in run(*command).lower(), command
    with pytest.raises(TimeoutError, match=f"(?i){words.split('(')[0]}"):
        gateway.job(job.id).wait(timeout=0.01)
    wait, plan = gateway.jobs.waits_for(job.id), gateway.plan("lincoln", "students")
    assert wait is not None
    assert (wait.reason, wait.until) == ("down", None)
    assert [one.cause for one in wait.obstacles] == [one.cause for one in plan.obstacles]
    assert plan.starts_at is None
    assert f'cause="{wait.obstacles[0].cause}"' in gateway.fleet.openmetrics()


def test_a_job_that_expires_tells_what_kept_it_waiting(gateway: Gateway, runtime: Runtime) -> None:
    """A worker that is missing, a provider that is paused; and nothing where nothing was."""
    no_worker(gateway)
    gateway.providers.control("open").pause(actor="ana")
    names = ("lincoln", "open", "twin")
    jobs = [gateway.sync(name, "students", timeout=0.001) for name in names]
    reconcile_after_the_deadline(runtime, *jobs)
    errors = [status.error or {} for status in gateway.jobs.statuses([job.id for job in jobs])]
    assert [error.get("cause") for error in errors] == ["worker_missing", "paused", None]
    assert ". No worker serves lincoln. Start one" in errors[0]["message"]
    assert ". open is paused. The job will not run later" in errors[1]["message"]


def test_a_job_that_expired_while_nobody_reconciled_tells_that(
    gateway: Gateway, runtime: Runtime
) -> None:
    """It is ended by the first reconcile after that, when all is well again."""
    now, _ = gateway.context.redis.time()
    gateway.context.redis.hset("sisgate:1:reconciles", "done_ms", (now - 300) * 1000)
    job = gateway.sync("open", "students", timeout=0.001)
    reconcile_after_the_deadline(runtime, job)
    error = job.status().error or {}
    assert error["cause"] == "reconcile_overdue"
    said = r"\. No reconcile had succeeded for 5 min( \d s)?: no worker was running"
    assert re.search(said, error["message"])


@pytest.mark.parametrize("redis", ["restarted", "emptied"])
def test_a_redis_that_was_away_is_no_missing_worker(
    gateway: Gateway, runtime: Runtime, redis: str
) -> None:
    """Heartbeats come every few seconds; the first reconcile may be faster, and its word stays."""
    if redis == "emptied":
        gateway.context.redis.flushall()
    else:
        for process in gateway.context.redis.zrange(TIMES, 0, -1):
            be_silent(gateway, process.decode(), 40)
    job = gateway.sync("open", "students", timeout=0.001)
    reconcile_after_the_deadline(runtime, job)
    error = job.status().error or {}
    assert (error["code"], error.get("cause")) == ("job_expired", None)
    assert "not running" not in error["message"]


def test_one_provider_without_a_worker_does_not_trouble_the_others(
    gateway: Gateway, run: Run
) -> None:
    """Their jobs wait for nothing."""
    no_worker(gateway)
    assert gateway.jobs.waits_for(gateway.enqueue_request("open", "GET", "/orgs").id) is None
    listed, _ = json.JSONDecoder().raw_decode(run("providers", "--json"))
    found = {one["name"]: one["obstacles"] for one in listed}
    assert [name for name, obstacles in found.items() if obstacles] == ["lincoln"]


def test_work_of_a_provider_that_is_not_configured_any_more_says_so(gateway: Gateway) -> None:
    """And nobody is sent to start a worker of it."""
    job = gateway.enqueue_request("lincoln", "GET", "/orgs")
    providers = {k: v for k, v in gateway.settings.providers.items() if k != "lincoln"}
    settings = gateway.settings.model_copy(update={"providers": providers})
    without = Gateway(settings, database=gateway.context.database)
    wait = without.jobs.waits_for(job.id)
    assert wait is not None
    assert [one.cause for one in wait.obstacles] == [Cause.PROVIDER_MISSING]
    assert "not in the configuration" in wait.obstacles[0].message


def test_a_reconcile_that_succeeds_is_noted_and_one_that_fails_with_its_reason(
    gateway: Gateway, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the task itself."""
    gateway.context.redis.delete("sisgate:1:reconciles")
    monkeypatch.setattr(reconciler, "_end_overdue", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        reconciler.reconcile(runtime)
    (obstacle,) = gateway.fleet.liveness().obstacles
    assert obstacle.message == "no reconcile has succeeded yet (ZeroDivisionError)"
    monkeypatch.undo()
    reconciler.reconcile(runtime)
    assert not gateway.fleet.liveness().obstacles


def test_tables_of_another_version_are_named(gateway: Gateway) -> None:
    """Not just the error of the statement that failed of it."""
    before = migrate.current(gateway.context.database)
    with gateway.context.database.write() as session:
        session.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT)"))
        session.execute(text("DELETE FROM alembic_version"))
        session.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    Heartbeats(gateway.context.redis).note_reconcile("OperationalError")
    try:
        (obstacle,) = gateway.fleet.liveness().obstacles
    finally:  # the tables of the next test are in the same database
        with gateway.context.database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": before})
    assert obstacle.cause is Cause.SCHEMA_BEHIND
    assert obstacle.message.startswith("the ledger is at version 0001, and the code needs 0")


def test_a_redis_that_takes_no_writes_is_no_dead_fleet(gateway: Gateway, run: Run) -> None:
    """At its memory limit it takes no heartbeats either."""
    be_silent(gateway, WORKER.id, 60)
    gateway.context.redis.config_set("maxmemory", "1")
    try:
        causes = [one.cause for one in gateway.fleet.liveness().obstacles]
        words = run("doctor")
    finally:
        gateway.context.redis.config_set("maxmemory", "0")
    assert causes == [Cause.REDIS_REFUSES_WRITES]
    assert "Redis refuses writes: it is at its memory limit" in words


def test_a_clock_that_differs_is_told_by_doctor_and_metrics(gateway: Gateway, run: Run) -> None:
    """It stops nothing by itself."""
    heartbeats = Heartbeats(gateway.context.redis)
    heartbeats.send(replace(BEAT, host="app-2", clock_offset_seconds=-2.0))
    assert "the clock of host app-2 is 2.0 s behind that of Redis" in run("doctor")
    assert 'sisgate_clock_offset_seconds{host="app-2"} -2.0' in run("metrics")
    assert gateway.jobs.waits_for(gateway.enqueue_request("open", "GET", "/orgs").id) is None


def test_what_has_been_silent_for_a_day_is_forgotten(gateway: Gateway) -> None:
    """So that hosts that come and go leave nothing behind; also a heartbeat of another shape."""
    gateway.context.redis.hset("sisgate:1:heartbeats", "odd", "[]")
    gateway.context.redis.zadd(TIMES, {"odd": 0})
    be_silent(gateway, WORKER.id, 90_000)
    heartbeats = Heartbeats(gateway.context.redis)
    assert [one.id for one in heartbeats.read().processes] == [BEAT.id, WORKER.id]
    heartbeats.send(BEAT)
    assert [one.id for one in heartbeats.read().processes] == [BEAT.id]
    assert gateway.context.redis.hkeys("sisgate:1:heartbeats") == [BEAT.id.encode()]


def test_one_process_of_the_fleet_watches_the_others(gateway: Gateway) -> None:
    """The one that does goes on with it; another takes over when it has been silent."""
    gateway.context.redis.delete("sisgate:1:heartbeat-watch")
    heartbeats = Heartbeats(gateway.context.redis)
    assert [heartbeats.send(one) for one in (WORKER, BEAT, WORKER)] == [True, False, True]
    gateway.context.redis.delete("sisgate:1:heartbeat-watch")
    assert heartbeats.send(BEAT)
