"""Workers and Redis come and go; the limit holds and nothing that was accepted is lost."""

import signal
from functools import partial

import pytest

from sisgate.domain.states import JobState
from sisgate.redis.queues import PLANNER_QUEUE
from testbed.fleet import Fleet, MakeFleet, Process
from testbed.mortal import MortalRedis
from testbed.recorder import Recorder, windows_above

SHORT_LIMIT = 'limit = "20/2s"\nburst = 20\ntimeout_seconds = 5'


def all_done(fleet: Fleet, count: int) -> bool:
    """Whether so many jobs are done."""
    return len(fleet.gateway.jobs.list(states=[JobState.DONE], limit=count + 1)) == count


def arrived(recorder: Recorder, count: int) -> bool:
    """Whether so many calls have come."""
    return len(recorder["alpha"].arrivals) >= count


def has_ended(worker: Process) -> bool:
    """Whether a worker has ended."""
    return not worker.is_alive()


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
def test_redis_restarted_under_an_idle_worker(
    pool: str, make_fleet: MakeFleet, recorder: Recorder, mortal_redis: MortalRedis
) -> None:
    """The worker reconnects by itself and admits as before."""
    fleet = make_fleet(url=mortal_redis.url, alpha=SHORT_LIMIT)
    worker = fleet.start_worker(pool=pool)
    fleet.request("alpha", 3)
    fleet.wait(lambda: all_done(fleet, 3), "calls before")
    mortal_redis.kill()
    fleet.wait(lambda: "onnection" in worker.log, "the worker notices")
    mortal_redis.start()
    fleet.request("alpha", 3)
    fleet.wait(lambda: all_done(fleet, 6), "calls after")

    assert worker.is_alive()


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
def test_redis_restarted_under_a_busy_worker(
    pool: str, make_fleet: MakeFleet, recorder: Recorder, mortal_redis: MortalRedis
) -> None:
    """Plain Celery 5.7 exits here. The calls under way end, the backlog is done, within limits."""
    fleet = make_fleet(url=mortal_redis.url, alpha=SHORT_LIMIT, beta='limit = "off"')
    worker = fleet.start_worker(PLANNER_QUEUE, "alpha", pool=pool)
    fleet.start_beat()
    recorder.latency = lambda: 1.0
    fleet.request("alpha", 30)
    fleet.wait(lambda: len(recorder["alpha"].arrivals) >= 4, "calls run")
    mortal_redis.kill()
    fleet.wait(lambda: "onnection" in worker.log, "the worker notices")
    recorder.latency = lambda: 0.0
    mortal_redis.start()
    fleet.wait(lambda: all_done(fleet, 30), "all jobs", seconds=120)

    assert worker.is_alive()
    assert windows_above(recorder["alpha"].times, 20, 2.0) == 0


def test_redis_emptied_in_mid_run(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """The limiter begins again from the ledger, the messages are published again."""
    fleet = make_fleet(alpha=SHORT_LIMIT)
    fleet.start_worker(PLANNER_QUEUE, "alpha")
    fleet.start_worker("alpha", pool="threads")
    fleet.start_beat()
    fleet.request("alpha", 80)
    fleet.wait(lambda: len(recorder["alpha"].arrivals) >= 25, "calls run")
    fleet.redis.flushall()
    fleet.wait(lambda: all_done(fleet, 80), "all jobs", seconds=120)

    assert windows_above(recorder["alpha"].times, 20, 2.0) == 0
    assert sum(recorder["alpha"].paths.values()) == 80


def test_a_warm_stop_finishes_what_runs_and_leaves_the_rest(
    make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """SIGTERM: the calls under way end and are recorded; the others wait in the broker."""
    fleet = make_fleet(alpha='limit = "off"')
    worker = fleet.start_worker(concurrency=2)
    recorder.latency = lambda: 2.0
    fleet.request("alpha", 10)
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 2, "two calls run")
    worker.signal(signal.SIGTERM)
    fleet.wait(lambda: not worker.is_alive(), "the worker ends")

    assert len(recorder["alpha"].arrivals) == 2
    assert all_done(fleet, 2)
    assert fleet.waiting("alpha") == 8
    assert fleet.unacked() == 0
    recorder.latency = lambda: 0.0
    fleet.start_worker()
    fleet.wait(lambda: all_done(fleet, 10), "the next worker does the rest")
    assert set(recorder["alpha"].paths.values()) == {1}


def test_a_cold_stop_gives_back_what_it_had(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """SIGQUIT, with and without a soft timeout: what did not end goes back into the queue."""
    fleet = make_fleet(alpha='limit = "off"\ntimeout_seconds = 5')
    for options in ([], ["--", "worker.soft_shutdown_timeout=1"]):
        recorder.latency = lambda: 4.0
        worker = fleet.start_worker(concurrency=2, options=options)
        before = len(recorder["alpha"].arrivals)
        fleet.request("alpha", 6)
        fleet.wait(partial(arrived, recorder, before + 2), "two calls run")
        worker.signal(signal.SIGQUIT)
        fleet.wait(partial(has_ended, worker), "the worker ends")
        assert fleet.waiting("alpha") + fleet.unacked() >= 4


def test_a_killed_worker_loses_no_message(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """SIGKILL at once of parent and children, again and again: what was not begun is done."""
    fleet = make_fleet(alpha=SHORT_LIMIT)
    fleet.request("alpha", 160)
    fleet.start_worker(concurrency=2)
    for number in range(3):
        seen = len(recorder["alpha"].arrivals)
        fleet.wait(partial(arrived, recorder, seen + 8), "calls run")
        fleet.workers[number].kill_all()
        fleet.start_worker(concurrency=2)
    fleet.wait(lambda: fleet.waiting("alpha") == 0, "the backlog is done")

    assert windows_above(recorder["alpha"].times, 20, 2.0) == 0
    # What the killed workers held still stands where the visibility timeout finds it.
    fleet.wait(
        lambda: (
            len(fleet.gateway.jobs.list(states=[JobState.DONE], limit=161)) + fleet.unacked() >= 160
        ),
        "each job is done or its message is kept",
    )
