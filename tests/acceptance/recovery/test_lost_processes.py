"""A lost worker, beat, broker or ledger delays a sync and changes nothing of its result."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from sisgate.embedded.redis_server import EmbeddedRedis
from sisgate.errors import DatabaseUnavailable
from sisgate.gateway import Gateway, Job
from sisgate.ledger import schema as tables
from sisgate.sandbox.process import SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from testbed.postgres import PostgresServer
from testbed.stack import CLOCK, PATIENCE_SECONDS, Stack, end, kill_session, wait_until

NAME = "oneroster"
RESOURCE = "enrollments"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    """One slow district."""
    spec = DistrictSpec(NAME, "oneroster", students=130, quota=None, knobs={"latency_ms": 150})
    with SandboxProcess(SandboxSpec(districts=(spec,))) as process:
        yield process


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of this test's own, to be stopped and started."""
    server = EmbeddedRedis(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def stack(
    database_url: str, tmp_path: Path, sandbox: SandboxProcess, redis: EmbeddedRedis
) -> Iterator[Stack]:
    """A stack without processes: each test starts and loses its own."""
    sandbox.reset(NAME)
    options = {NAME: {"page_size": 20, "timeout_seconds": 5}}
    made = Stack(tmp_path, sandbox, redis_url=redis.url, database_url=database_url, options=options)
    yield made
    made.stop()


def begun(stack: Stack) -> Job:
    """Return a sync with some of its pages read."""
    job = stack.gateway.sync(NAME, RESOURCE, mode="full")
    wait_until(lambda: job.status().rows_seen > 60, "some pages")
    return job


def let_leases_end(stack: Stack) -> None:
    """Let the minute pass after which a lost worker's call is given to another."""
    with stack.gateway.context.database.write() as session:
        held = update(tables.Call).where(tables.Call.lease_until.is_not(None))
        session.execute(held.values(lease_until=CLOCK.now()))


def assert_whole(stack: Stack, job: Job) -> None:
    """The sync is complete, and each record is there, and in the feed, once."""
    status = job.wait(2 * PATIENCE_SECONDS)
    assert (status.state, status.complete) == ("done", True)
    sizes = stack.sandbox.districts[NAME].control("GET", "")["sizes"]
    expected = sizes["enrollments"] + sizes["classes"]
    assert len(stack.ids(NAME, RESOURCE)) == expected
    assert status.inserted == expected
    changes = list(stack.gateway.changes(NAME, RESOURCE))
    assert [change.sequence for change in changes] == list(range(1, expected + 1))


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_worker_that_ends_in_the_middle_loses_nothing(stack: Stack, stop: signal.Signals) -> None:
    """Asked to stop, interrupted or killed with its children: the next one goes on."""
    stack.start()
    worker = stack.start_worker()
    job = begun(stack)
    for process in stack.processes_of("worker"):
        if stop == signal.SIGKILL:
            kill_session(process)
        else:
            process.send_signal(stop)
    for process in stack.processes_of("worker"):
        end(process, stop)
    assert worker.poll() is not None
    assert not job.status().is_final
    let_leases_end(stack)
    stack.start_worker()
    assert_whole(stack, job)


def test_what_is_accepted_while_redis_is_down_runs_later(
    stack: Stack, redis: EmbeddedRedis
) -> None:
    """The app gets its job at once; the work begins when Redis is back."""
    redis.stop()
    job = stack.gateway.sync(NAME, RESOURCE, mode="full")
    assert job.status().state == "accepted"
    redis.start()
    stack.start()
    assert_whole(stack, job)


def test_a_redis_that_lost_everything_in_the_middle_loses_no_work(
    stack: Stack, redis: EmbeddedRedis
) -> None:
    """Killed and emptied: the ledger knows what is to be done."""
    import redis as client

    stack.start()
    job = begun(stack)
    with client.Redis.from_url(redis.url) as connection:
        connection.flushall()
    assert_whole(stack, job)


def test_a_ledger_that_is_down_refuses_clearly(
    tmp_path: Path, redis: EmbeddedRedis, sandbox: SandboxProcess, postgres_server: PostgresServer
) -> None:
    """Nothing is said to be accepted, and the message has no password."""
    url = postgres_server.url(postgres_server.create_database())
    folder = tmp_path / "data"
    folder.mkdir()
    stack = Stack(folder, sandbox, redis_url=redis.url, database_url=url)
    gone = url.replace("test_", "nothing_").replace("sisgate@", "sisgate:swordfish@")
    stack.database_url = gone
    gateway = stack.new_gateway()
    calls: list[Callable[[Gateway], object]] = [
        lambda g: g.sync(NAME, "orgs"),
        lambda g: g.request(NAME, "GET", "/x"),
        lambda g: g.jobs.list(),
        lambda g: list(g.records(NAME, "orgs")),
        lambda g: list(g.changes(NAME, "orgs")),
    ]
    for call in calls:
        with pytest.raises(DatabaseUnavailable) as refused:
            call(gateway)
        assert "swordfish" not in str(refused.value)
    gateway.close()
    stack.stop()
