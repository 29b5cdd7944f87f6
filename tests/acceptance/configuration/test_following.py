"""Workers follow the configuration while they run: providers come, change and go."""

import time
from typing import Any

import pytest

from sisgate.configuration.live import publish
from sisgate.ledger import configuration as ledger
from sisgate.ledger.configuration import VersionInfo
from sisgate.liveness.heartbeats import Heartbeat
from testbed.fleet import Fleet, MakeFleet
from testbed.recorder import Recorder, windows_above

POOLS = ("prefork", "threads")
FAST, SLOW = 'limit = "20/2s"\nburst = 20', 'limit = "6/2s"\nburst = 6'
UNLIMITED = 'limit = "off"'


def served(fleet: Fleet) -> dict[str, set[str]]:
    """Return the queues that each worker listens to."""
    answers = fleet.inspect("active_queues")
    return {worker: {queue["name"] for queue in queues} for worker, queues in answers.items()}


def count(recorder: Recorder, provider: str) -> int:
    """Return how many calls came to a provider."""
    return len(recorder[provider].arrivals)


@pytest.mark.parametrize("pool", [*POOLS, "solo", "gevent"])
def test_a_provider_is_added_while_the_worker_runs(
    pool: str, make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """Its calls are made by processes that were forked before it was there; the others go on."""
    fleet = make_fleet(alpha=UNLIMITED)
    fleet.start_worker(pool=pool, serves_all=True)
    fleet.request("alpha", 3)
    fleet.wait(lambda: count(recorder, "alpha") == 3, "calls before")

    fleet.configure(alpha=UNLIMITED, beta=FAST)
    fleet.begin_counting()
    fleet.request("beta", 30)
    fleet.request("alpha", 3)
    fleet.wait(lambda: count(recorder, "alpha") == 6, "the old provider's calls")
    fleet.wait(lambda: count(recorder, "beta") == 30, "the new provider's calls")

    assert windows_above(recorder["beta"].times, 20, 2.0) == 0
    assert set(recorder["beta"].paths.values()) == {1}
    fleet.wait(lambda: fleet.unacked() == 0, "all are acknowledged")


@pytest.mark.parametrize("pool", POOLS)
def test_a_removed_provider_is_left_and_its_running_calls_end(
    pool: str, make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """Nothing more is taken from its queue; what was sent is answered and recorded."""
    recorder.latencies["alpha"] = lambda: 12.0
    fleet = make_fleet(alpha=UNLIMITED, beta=UNLIMITED)
    fleet.start_worker(pool=pool, serves_all=True, concurrency=3)
    job, *_ = fleet.request("alpha", 6)
    # One slot of three is kept for the planner.
    fleet.wait(lambda: count(recorder, "alpha") == 2, "two calls run")

    fleet.configure(beta=UNLIMITED)
    fleet.wait(lambda: served(fleet) == {"w0@test": {"sisgate", "beta"}}, "the queue is left")
    recorder.release()
    fleet.wait(lambda: fleet.gateway.job(job).status().state == "done", "the running call's end")
    fleet.request("beta", 5)
    fleet.wait(lambda: count(recorder, "beta") == 5, "the other provider's calls")

    assert count(recorder, "alpha") == 2
    assert fleet.waiting("alpha") == 4


@pytest.mark.parametrize("pool", POOLS)
def test_a_lowered_limit_holds_at_once_and_a_raised_one_needs_no_restart(
    pool: str, make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """From the change on no window holds more than the lower limit, over two workers."""
    fleet = make_fleet(alpha=FAST)
    for _ in range(2):
        fleet.start_worker(pool=pool)
    fleet.request("alpha", 100)
    fleet.wait(lambda: count(recorder, "alpha") >= 20, "a full window")
    fleet.configure(alpha=SLOW)
    changed_at = time.monotonic()
    fleet.wait(lambda: count(recorder, "alpha") >= 60, "calls by the lower limit")
    after = [at for at in recorder["alpha"].times if at > changed_at]
    assert windows_above(after, 6, 2.0) == 0

    fleet.configure(alpha=FAST)
    fleet.wait(lambda: count(recorder, "alpha") == 100, "calls by the higher limit", seconds=20)
    assert windows_above(recorder["alpha"].times, 20, 2.0) == 0


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_that_has_not_looked_yet_admits_by_the_lower_limit(
    pool: str, make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """It is woken in the moment of the change, with more work and slots than the new limit has."""
    fleet = make_fleet(alpha=FAST)
    fleet.start_worker(pool=pool, concurrency=12)
    fleet.limiter.pause("alpha")
    fleet.request("alpha", 18, "urgent")
    fleet.configure(alpha=SLOW)
    fleet.limiter.resume("alpha")
    fleet.gateway.context.wakeups.signal_work("alpha")
    fleet.wait(lambda: count(recorder, "alpha") == 18, "all calls")

    assert windows_above(recorder["alpha"].times, 6, 2.0) == 0


def test_a_worker_of_one_provider_and_one_of_a_pool(
    make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """`-Q beta` waits for its provider and takes no other; `-Q pool:north` takes what joins it."""
    north = f'{UNLIMITED}\npool = "north"'
    fleet = make_fleet(alpha=UNLIMITED)
    fleet.start_worker("beta")
    fleet.start_worker("pool:north")
    assert served(fleet) == {"w0@test": set(), "w1@test": set()}

    fleet.configure(alpha=UNLIMITED, beta=UNLIMITED, gamma=north, delta=north)
    for provider in ("beta", "gamma", "delta"):
        fleet.request(provider, 3)
    for provider in ("beta", "gamma", "delta"):
        fleet.wait(lambda p=provider: count(recorder, p) == 3, f"calls of {provider}")  # type: ignore[misc]
    assert served(fleet) == {"w0@test": {"beta"}, "w1@test": {"gamma", "delta"}}

    fleet.configure(alpha=UNLIMITED, beta=UNLIMITED, gamma=UNLIMITED, delta=north)
    fleet.wait(lambda: served(fleet)["w1@test"] == {"delta"}, "one has left the pool")


@pytest.mark.parametrize("pool", POOLS)
def test_remote_control_adds_and_cancels_queues_of_providers(
    pool: str, make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """A queue added by hand is admitted by permit, also one whose provider comes later."""
    fleet = make_fleet(alpha=UNLIMITED, beta=UNLIMITED)
    fleet.start_worker("alpha", pool=pool)
    for queue in ("beta", "later", "pool:north"):
        fleet.app.control.add_consumer(queue, reply=True, timeout=10, limit=1)
    fleet.wait(lambda: served(fleet)["w0@test"] == {"alpha", "beta"}, "the queue is added")

    north = f'{UNLIMITED}\npool = "north"'
    fleet.configure(alpha=UNLIMITED, beta=UNLIMITED, later=FAST, gamma=north)
    fleet.limiter.block("later", 600)
    fleet.wait(lambda: len(served(fleet)["w0@test"]) == 4, "they are served once configured")
    fleet.request("later", 5)
    fleet.request("gamma", 5)
    fleet.wait(lambda: count(recorder, "gamma") == 5, "the pool's calls")
    assert fleet.waiting("later") == 5
    fleet.begin_counting()
    fleet.limiter.unblock("later")
    fleet.wait(lambda: count(recorder, "later") == 5, "admitted")

    fleet.app.control.cancel_consumer("beta", reply=True, timeout=10, limit=1)
    fleet.wait(lambda: "beta" not in served(fleet)["w0@test"], "the queue is left")
    fleet.configure(alpha=UNLIMITED, beta=FAST, gamma=north)
    fleet.wait(lambda: served(fleet)["w0@test"] == {"alpha", "gamma"}, "and stays left")


def test_a_worker_that_comes_back_from_a_lost_redis_follows(
    make_fleet: MakeFleet, recorder: Recorder, mortal_redis: Any
) -> None:
    """The configuration changed while Redis was away: the worker serves the new one."""
    fleet = make_fleet(url=mortal_redis.url, alpha=UNLIMITED)
    fleet.start_worker(serves_all=True)
    mortal_redis.kill()
    fleet.configure(alpha=UNLIMITED, beta=UNLIMITED)
    mortal_redis.start()
    fleet.request("beta", 3)
    fleet.wait(lambda: count(recorder, "beta") == 3, "its calls")


def test_heartbeats_tell_who_follows_what(make_fleet: MakeFleet) -> None:
    """Every process reports the version within a second, and what it was told to serve."""
    fleet = make_fleet(alpha=UNLIMITED)
    fleet.start_worker("pool:north", "alpha")
    fleet.start_worker(serves_all=True, pool="gevent")
    fleet.start_beat()
    heartbeats = fleet.gateway.context.heartbeats

    def versions() -> dict[str, int]:
        return {each.name: each.configuration for each in heartbeats.read().processes}

    everyone = ("w0@test", "w1@test", "beat")
    fleet.wait(lambda: versions() == dict.fromkeys(everyone, 0), "all have reported")
    version = fleet.configure(alpha=UNLIMITED, beta=UNLIMITED)
    fleet.wait(lambda: versions() == dict.fromkeys(everyone, version), "all follow", seconds=3)
    serving = {each.name: each.serves for each in heartbeats.read().processes}
    assert serving == {"w0@test": "alpha, pool:north", "w1@test": "all", "beat": ""}


def test_a_process_of_older_code_serves_what_it_understands_and_says_so(
    make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """A version from newer code has a provider of an unknown kind: the others are served."""
    fleet = make_fleet(alpha=UNLIMITED)
    fleet.start_worker(serves_all=True)
    fleet.configure(alpha=UNLIMITED, beta=FAST)
    context = fleet.gateway.context
    document = fleet.gateway.configuration.show().document
    of_future = {"kind": "future", "endpoints": [{"url": "https://sis.example"}]}
    document = {**document, "providers": {**document["providers"], "gamma": of_future}}
    with context.database.write() as session:
        newer = VersionInfo(2, "of newer code", 1, {}, context.clock.now(), "newer code", None)
        ledger.add(session, newer, document)
    publish(fleet.redis, 2)

    def worker() -> Heartbeat:
        return context.heartbeats.read().processes[0]

    fleet.wait(lambda: worker().configuration == 2, "the worker follows")
    assert set(worker().queues) == {"sisgate", "alpha", "beta"}
    (problem,) = worker().not_understood
    assert "providers.gamma.kind" in problem
    fleet.begin_counting()
    fleet.request("beta", 5)
    fleet.wait(lambda: count(recorder, "beta") == 5, "what it understands is served")
    findings = [str(each) for each in fleet.gateway.diagnosis.run()]
    assert any("cannot use a part of the configuration" in text for text in findings)
