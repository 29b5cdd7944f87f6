"""Workers of every pool, the planner and beat are seen while they live, and missed when not."""

import signal
from collections.abc import Callable

from celery import Celery

from sisgate.gateway import Cause, Liveness
from testbed.fleet import Fleet, MakeFleet, Process
from testbed.mortal import MortalRedis
from testbed.recorder import Recorder

POOLS = ("prefork", "threads", "gevent", "solo")
ALL_MISSED = {Cause.PLANNER_MISSING, Cause.BEAT_MISSING, Cause.WORKER_MISSING}


def told(fleet: Fleet) -> str:
    """Return everything that is said to be in the way."""
    return "; ".join(one.message for one in fleet.gateway.fleet.liveness().obstacles)


def causes(fleet: Fleet) -> set[Cause]:
    """Return what is in the way."""
    return {one.cause for one in fleet.gateway.fleet.liveness().obstacles}


def calls_told(fleet: Fleet) -> list[int]:
    """Return the calls that workers say they have."""
    found = fleet.gateway.fleet.liveness().fleet
    return [call for each in (found.processes if found else ()) for call in each.calls or ()]


def pools(liveness: Liveness, provider: str) -> list[str]:
    """Return the pools of the live workers of a provider."""
    assert liveness.fleet is not None
    alive = [one for one in liveness.fleet.processes if one.is_alive]
    return sorted(one.pool for one in alive if provider in one.queues)


def test_workers_of_every_pool_are_seen_by_the_queues_that_they_take_from(
    make_fleet: MakeFleet, mortal_redis: MortalRedis
) -> None:
    """Not one that they were told to leave; again after Redis was lost; not after they stopped."""
    fleet = make_fleet(url=mortal_redis.url, clark="", lincoln="")
    workers = [fleet.start_worker("clark", pool=pool) for pool in POOLS]

    def comes(ready: Callable[[], bool], what: str) -> None:
        fleet.wait(ready, what, *workers)

    def all_seen() -> bool:
        return pools(fleet.gateway.fleet.liveness(), "clark") == sorted(POOLS)

    comes(all_seen, "all are seen")
    assert "no worker serves lincoln" in told(fleet)
    fleet.app.control.cancel_consumer("clark")
    comes(lambda: "no worker serves clark" in told(fleet), "the queue is left by all")
    fleet.app.control.add_consumer("clark")
    comes(all_seen, "all are back")
    mortal_redis.kill()
    assert causes(fleet) == {Cause.REDIS_UNREACHABLE}
    mortal_redis.start()
    mortal_redis.client.flushall()
    comes(all_seen, "all are back after a Redis that lost everything")
    for worker in workers:
        worker.signal(signal.SIGTERM)
    comes(
        lambda: not ((seen := fleet.gateway.fleet.liveness().fleet) and seen.processes),
        "all have left in order",
    )


def test_a_fleet_that_is_frozen_killed_and_whole_again(make_fleet: MakeFleet) -> None:
    """A process that lives but does nothing is not alive; a job says so, and goes on after all.

    While all is well a sync that was sent to no queue is found.
    """
    fleet = make_fleet(clark="")
    worker, beat = fleet.start_worker("sisgate", "clark"), fleet.start_beat()
    fleet.wait(lambda: not causes(fleet), "nothing is in the way", worker, beat)
    assert find_sync_without_queue(fleet, worker)
    beat.kill_all()
    worker.signal(signal.SIGSTOP)
    try:
        fleet.wait(lambda: causes(fleet) == ALL_MISSED, "all three are missed", worker)
        assert "the planner has not been seen for " in told(fleet)
        assert "beat has not been seen for " in told(fleet)
        assert "no worker serves clark; the last one has not been seen for " in told(fleet)
        (job,) = fleet.request("clark")
        wait = fleet.gateway.jobs.waits_for(job)
        assert wait is not None
        assert {one.cause for one in wait.obstacles} == {Cause.WORKER_MISSING}
    finally:
        worker.signal(signal.SIGCONT)
    fleet.wait(lambda: causes(fleet) == {Cause.BEAT_MISSING}, "the worker goes on", worker)
    again = fleet.start_beat()
    fleet.wait(lambda: not causes(fleet), "nothing is in the way any more", worker, again)
    assert fleet.gateway.job(job).wait(60).is_final


def test_a_job_says_that_the_worker_of_its_call_was_killed(
    make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """While its lease lasts, though another worker is alive and well."""
    fleet = make_fleet(clark="timeout_seconds = 50\nlease_seconds = 100")
    lost, other = fleet.start_worker("clark"), fleet.start_worker("sisgate")
    recorder.latency = lambda: 60.0
    (job,) = fleet.request("clark")

    def reason() -> str | None:
        wait = fleet.gateway.jobs.waits_for(job)
        return wait.reason if wait else None

    fleet.wait(lambda: fleet.gateway.jobs.status(job).calls.get("running") == 1, "it is made")
    fleet.wait(lambda: bool(calls_told(fleet)), "its worker tells of it")
    assert reason() is None
    lost.kill_all()
    fleet.start_worker("clark")
    fleet.wait(lambda: reason() == "lost", "that is told", other, seconds=30)


def test_an_expired_job_names_the_worker_that_is_missing(make_fleet: MakeFleet) -> None:
    """Of its provider only, and of beat and planner all is well."""
    fleet = make_fleet(clark="", lincoln="")
    worker, beat = fleet.start_worker("sisgate", "lincoln"), fleet.start_beat()
    fleet.wait(lambda: causes(fleet) == {Cause.WORKER_MISSING}, "one is missing", worker, beat)
    job = fleet.gateway.enqueue_request("clark", "GET", "/orgs", timeout=1.0)
    fleet.wait(lambda: fleet.gateway.jobs.status(job.id).is_final, "it has expired", worker, beat)
    error = fleet.gateway.jobs.status(job.id).error or {}
    assert (error["code"], error["cause"]) == ("job_expired", "worker_missing")
    assert "No worker serves clark. Start one" in error["message"]


def find_sync_without_queue(fleet: Fleet, worker: Process) -> bool:
    """Ask for a sync as an app that names no queue does; return when there is a job."""
    other = Celery("other", broker=fleet.environment["SISGATE_BROKER_URL"], set_as_current=False)
    wrong = {"provider": "clark", "resource": "no such thing"}
    task = other.send_task("sisgate.sync", kwargs=wrong, ignore_result=True)
    other.close()

    def is_there() -> bool:
        return task.id in [job.id for job in fleet.gateway.jobs.list()]

    fleet.wait(is_there, "the sync is found", worker)
    return True
