"""Health checks against a real server, a real Redis and a real ledger."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import select

from sisgate.admission.state import checks_since
from sisgate.breakers.spec import State
from sisgate.clock import SystemClock, poll_until
from sisgate.context import Context
from sisgate.gateway import Gateway
from sisgate.ledger import schema
from sisgate.ledger.schema import AuditEvent
from sisgate.redis.client import RedisClient
from sisgate.settings import ProviderConfig
from testbed.installation import install
from testbed.recorder import FailingRecorder
from testbed.worker import runtime_of
from workers.calls import execute, probing
from workers.maintenance import health, reconciler
from workers.runtime import Runtime

CONFIG = """
[providers.lincoln]
kind = "oneroster"
limit = "100/h"
burst = 100
auth = "none"
allow_insecure = true
breaker = {{ fail_max = 1, open_seconds = 0.1, success_threshold = 1 }}
health = {{ path = "/health", {more} }}
"""
MakeRuntime = Callable[..., Runtime]


@pytest.fixture
def recorder() -> Iterator[FailingRecorder]:
    """The provider, with two endpoints."""
    server = FailingRecorder("ab", latency_seconds=0.0)
    yield server
    server.stop()


@pytest.fixture
def make_runtime(
    tmp_path: Path, redis_url: str, sqlite_url: str, recorder: FailingRecorder
) -> Iterator[MakeRuntime]:
    """Make what a worker works with, its limiter ready."""
    with ExitStack() as runtimes:

        def make(more: str = "interval_seconds = 600", endpoints: str = "ab") -> Runtime:
            text = CONFIG.format(more=more) + "".join(
                f'[[providers.lincoln.endpoints]]\nurl = "{recorder.url("lincoln")}/{name}"\n'
                for name in endpoints
            )
            settings = install(tmp_path, text, redis_url=redis_url, database_url=sqlite_url)
            return runtimes.enter_context(runtime_of(settings))

        yield make


def config_of(runtime: Runtime) -> ProviderConfig:
    """Return the one provider."""
    return runtime.settings.providers["lincoln"]


def check(runtime: Runtime) -> None:
    """Check as if an interval had passed."""
    for claim in runtime.redis.scan_iter("sisgate:1:health:*"):
        runtime.redis.delete(claim)
    health.check(runtime)


def used(runtime: Runtime) -> int:
    """Return how much of the quota is used."""
    state = runtime.limiter.state("lincoln", runtime.limits(config_of(runtime)))
    return state.windows[0].used


def asked(recorder: FailingRecorder) -> Counter[str]:
    """Return how often each endpoint was asked."""
    return Counter(call.endpoint for call in recorder.served)


def test_an_endpoint_that_fails_its_checks_gets_no_calls_until_it_is_well(
    make_runtime: MakeRuntime, recorder: FailingRecorder
) -> None:
    """Told by the breakers' screen, and audited when it changes."""
    runtime = make_runtime()
    recorder.down.add("b")
    for _ in range(4):
        check(runtime)
    standings = runtime.gateway.providers.breakers("lincoln").standings()
    assert [one.unwell for one in standings] == [False, True]
    assert all(one.checked_seconds is not None for one in standings)
    endpoints = runtime.endpoints(config_of(runtime))
    routes = [endpoints.open("/x") for _ in range(8)]
    assert {route.url[-1] for route in routes} == {"a"}
    recorder.down.clear()
    for _ in range(2):
        check(runtime)
    assert not any(one.unwell for one in runtime.gateway.providers.breakers("lincoln").standings())
    with runtime.database.read() as session:
        query = select(AuditEvent).where(AuditEvent.action.like("routing:%"))
        told = [(e.action, e.reason) for e in session.scalars(query.order_by(AuditEvent.at))]
    assert told == [
        ("routing:endpoint:unwell", "answered 500"),
        ("routing:endpoint:well", "answered 200"),
    ]


def test_many_runs_make_one_check_an_interval(
    make_runtime: MakeRuntime, recorder: FailingRecorder
) -> None:
    """Five beats are one; each check that may count takes a permit."""
    runtimes = [make_runtime() for _ in range(5)]
    for runtime in runtimes:
        health.check(runtime)
    assert asked(recorder) == {"a": 1, "b": 1}
    assert used(runtimes[0]) == 2


def test_a_check_that_counts_is_not_made_without_a_permit(
    make_runtime: MakeRuntime, recorder: FailingRecorder
) -> None:
    """Nothing is granted before the limiter is rebuilt; where checks do not count they go on."""
    runtime = make_runtime()
    runtime.redis.flushall()
    health.check(runtime)
    assert asked(recorder) == {}
    free = make_runtime("counts = false")
    health.check(free)
    assert asked(recorder) == {"a": 1, "b": 1}
    assert used(free) == 0


def test_checks_that_count_get_permits_of_the_newest_configuration(
    make_runtime: MakeRuntime, recorder: FailingRecorder
) -> None:
    """Also in a process that lags behind the number that Redis knows."""
    runtime = make_runtime()
    file = runtime.settings.config_file
    assert file is not None
    health.check(runtime)
    Gateway.on(Context(runtime.settings)).configuration.apply(file, actor="another")
    check(runtime)
    assert asked(recorder) == {"a": 2, "b": 2}
    assert runtime.configuration.current().version == 1


def test_a_paused_provider_and_an_open_breaker_are_not_checked(
    make_runtime: MakeRuntime, recorder: FailingRecorder
) -> None:
    """A pause keeps all away, and an open breaker all but its probe."""
    runtime = make_runtime("counts = false")
    control = runtime.gateway.providers.control("lincoln")
    control.pause(actor="ana")
    check(runtime)
    assert asked(recorder) == {}
    control.resume(actor="ana")
    runtime.gateway.providers.breakers("lincoln").set("open", "1", actor="ana")
    check(runtime)
    assert asked(recorder) == {"b": 1}


@pytest.mark.parametrize("counts", ["true", "false"])
def test_the_health_path_is_the_probe_and_the_call_waits(
    make_runtime: MakeRuntime, recorder: FailingRecorder, counts: str
) -> None:
    """Also for a call that may not be repeated: it is sent once, after the breaker has closed."""
    runtime = make_runtime(f"interval_seconds = 600, counts = {counts}", endpoints="a")
    config, endpoints = config_of(runtime), runtime.endpoints(config_of(runtime))
    clock = SystemClock()
    job = runtime.gateway.enqueue_request("lincoln", "POST", "/x", json={}, timeout=600)
    with runtime.database.read() as session:
        (call_id,) = session.scalars(select(schema.Call.id))
    recorder.down.add("a")
    with endpoints.open("/x") as guarded:
        assert config.health is not None
        url = f"{recorder.url('lincoln')}/a"
        guarded.judge(probing.ask_health(runtime, config.health, url, config.network)[1])
    (view,) = endpoints.breakers.views()
    assert view.state is State.OPEN

    def due() -> bool:
        return endpoints.breakers.views()[0].wait_seconds <= 0

    def queued() -> bool:
        reconciler.reconcile(runtime)
        with runtime.database.read() as session:
            call = session.get(schema.Call, call_id)
            assert call is not None
            assert call.tries == 0
            return call.state == "queued"

    assert poll_until(due, clock=clock, timeout_seconds=10)
    execute.make_call(runtime, config, call_id)
    assert endpoints.breakers.views()[0].state is State.OPEN
    recorder.down.clear()
    assert poll_until(lambda: due() and queued(), clock=clock, timeout_seconds=20)
    execute.make_call(runtime, config, call_id)
    assert endpoints.breakers.views()[0].state is State.CLOSED
    assert set(recorder["lincoln"].paths) == {"/a/health"}
    assert used(runtime) == (2 if counts == "true" else 0)
    assert poll_until(queued, clock=clock, timeout_seconds=20)
    execute.make_call(runtime, config, call_id)
    assert recorder["lincoln"].paths["/a/x"] == 1
    assert job.status().state == "done"


def test_without_redis_no_check_is_made_and_nothing_fails(
    make_runtime: MakeRuntime, recorder: FailingRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it is lost between the first question and the claim of a check."""
    runtime = make_runtime("counts = false")
    runtime.endpoints(config_of(runtime))  # connected before
    unreachable = RedisClient(port=1, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(runtime, "redis", unreachable)
    health.check(runtime)
    assert asked(recorder) == {}
    unreachable.close()


def test_a_rebuild_takes_all_checks_to_be_made_that_may_have_been(
    make_runtime: MakeRuntime,
) -> None:
    """The ledger does not know them: one an endpoint and interval, as late as can be."""
    config = config_of(make_runtime("interval_seconds = 600"))
    now = SystemClock().now()
    windows = config.windows[0].period_seconds
    known = checks_since(config, now - timedelta(seconds=windows), now)
    assert len(known) == 2 * (windows / 600 + 1)
    assert max(call.started_at for call in known) == now
    assert checks_since(config_of(make_runtime("counts = false")), now, now) == []
