"""Remote control of a worker whose queues are admitted by permit."""

import json
from typing import Any

import pytest

from sisgate.broker import ADMISSION_MARK, call_task
from sisgate.embedded.redis_conf import HOST, free_port
from sisgate.ledger import audit_log, controls
from sisgate.redis.client import connect
from testbed.fleet import Fleet, MakeFleet, Process
from testbed.flower import FlowerPages
from testbed.recorder import Recorder


def all_arrived(recorder: Recorder, count: int) -> bool:
    """Whether so many calls came to alpha."""
    return len(recorder["alpha"].arrivals) >= count


def active_queues(fleet: Fleet) -> dict[str, Any]:
    """What the worker says of its queues, by name."""
    return {queue["name"]: queue for queue in fleet.inspect("active_queues")["w0@test"]}


def test_inspect_shows_the_queues_and_how_they_are_taken(make_fleet: MakeFleet) -> None:
    """`active_queues` lists provider queues with their mark, `stats` names them."""
    fleet = make_fleet(alpha='limit = "off"', beta='limit = "off"')
    fleet.start_worker("sisgate", "alpha", "beta")
    queues = active_queues(fleet)

    assert set(queues) == {"sisgate", "alpha", "beta"}
    assert queues["alpha"]["queue_arguments"] == {ADMISSION_MARK: "permit"}
    assert not queues["sisgate"]["queue_arguments"]
    assert fleet.inspect("stats")["w0@test"]["sisgate"] == {"admitted_by_permit": ["alpha", "beta"]}


def test_flower_shows_the_queues_and_its_form_sets_the_limit_of_the_fleet(
    make_fleet: MakeFleet,
) -> None:
    """Its list of workers has the mark; what is set for one worker holds for all, and is kept."""
    fleet = make_fleet(alpha='limit = "1000/h"')
    fleet.start_worker("sisgate", "alpha")
    flower, pages = start_flower(fleet)
    try:
        seen: dict[str, Any] = {}

        def shown() -> bool:
            status, text = pages.get("/api/workers?refresh=1")
            seen.update(json.loads(text) if status == 200 else {})
            return bool(seen.get("w0@test", {}).get("active_queues"))

        fleet.wait(shown, "Flower shows the worker", flower)
        queues = {q["name"]: q["queue_arguments"] for q in seen["w0@test"]["active_queues"]}
        assert queues["alpha"] == {ADMISSION_MARK: "permit"}

        # The form takes whole numbers only.
        target = f"/api/task/rate-limit/{call_task('alpha')}"
        status, text = pages.post(target, workername="w0@test", ratelimit="500")
        assert json.loads(text) == {"message": "alpha: 500/h for the whole fleet"}
        control = fleet.gateway.providers.control("alpha")
        fleet.wait(lambda: str(control.state().windows[0].rate) == "500/h", "the fleet's limit")

        status, text = pages.post(target, workername="w0@test", ratelimit="5000")
        assert status == 403
        assert "is more than the configured limit" in text
        status, text = pages.get("/api/workers?refresh=1")
        registered = json.loads(text)["w0@test"]["registered"]
        assert f"{call_task('alpha')} [rate_limit=500/h]" in registered
    finally:
        flower.end()
    with fleet.gateway.context.database.read() as session:
        (event,) = audit_log.tail(session, subject="alpha")
        kept = controls.windows_of(controls.get(session, "alpha"))
    assert (event.actor, event.reason) == ("celery", "control.rate_limit")
    assert [str(rate) for rate in kept or ()] == ["500/h"]


def start_flower(fleet: Fleet) -> tuple[Process, FlowerPages]:
    """Start Flower; return it and its pages."""
    port = free_port()
    command = f"-A workers flower --port={port}"
    flower = Process(command, (), fleet.environment, fleet.folder / "flower.log")
    return flower, FlowerPages(f"http://{HOST}:{port}", fleet.folder)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_cancelled_queue_is_left_alone_until_it_is_added_again(
    pool: str, make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """After `add_consumer` the queue is admitted by permit as before, not pushed."""
    fleet = make_fleet(alpha='limit = "1000/h"', beta='limit = "off"')
    fleet.start_worker(pool=pool)
    fleet.app.control.cancel_consumer("alpha", reply=True, timeout=10, limit=1)
    # The worker answers when it has heard of it; it is done soon after.
    fleet.wait(lambda: set(active_queues(fleet)) == {"beta"}, "the queue is left")
    fleet.request("alpha", 5)
    fleet.request("beta", 5)
    fleet.wait(lambda: len(recorder["beta"].arrivals) == 5, "the other queue goes on")
    assert fleet.waiting("alpha") == 5

    fleet.limiter.block("alpha", 600)
    fleet.app.control.add_consumer("alpha", reply=True, timeout=10, limit=1)
    fleet.wait(lambda: "alpha" in active_queues(fleet), "the queue is back")
    assert active_queues(fleet)["alpha"]["queue_arguments"] == {ADMISSION_MARK: "permit"}
    fleet.request("beta", 5)
    fleet.wait(lambda: len(recorder["beta"].arrivals) == 10, "the other queue goes on")
    assert fleet.waiting("alpha") == 5
    fleet.limiter.unblock("alpha")
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 5, "admitted again")


def hang(fleet: Fleet, recorder: Recorder) -> None:
    """Let answers take long, so that calls under way show the slots."""
    recorder.latency = lambda: 12.0
    fleet.request("alpha", 12)


def test_a_pool_that_grows_takes_more(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """`pool_grow` and `pool_shrink` change how many messages are taken at once."""
    fleet = make_fleet(alpha='limit = "off"')
    fleet.start_worker(concurrency=1)
    hang(fleet, recorder)
    fleet.wait(lambda: all_arrived(recorder, 1), "one call runs")
    fleet.app.control.pool_grow(1, reply=True, timeout=10, limit=1)
    fleet.wait(lambda: all_arrived(recorder, 2), "two calls run", seconds=11)
    recorder.release()
    fleet.wait(lambda: all_arrived(recorder, 12), "all calls")
    fleet.app.control.pool_shrink(1, reply=True, timeout=10, limit=1)
    fleet.request("alpha", 3)
    fleet.wait(lambda: all_arrived(recorder, 15), "it goes on")


def test_autoscaling_grows_with_the_backlog(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """A worker that may scale is given enough to scale up, and not more than it may have."""
    fleet = make_fleet(alpha='limit = "off"')
    fleet.start_worker(options=["--autoscale=3,1"])
    hang(fleet, recorder)
    fleet.wait(lambda: all_arrived(recorder, 3), "three calls run", seconds=11)

    assert fleet.unacked() == 3
    assert fleet.waiting("alpha") == 9


def test_a_restarted_pool_goes_on(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """`pool_restart` leaves admission at work."""
    fleet = make_fleet(alpha='limit = "off"')
    fleet.start_worker(options=["--", "worker.pool_restarts=true"])
    fleet.request("alpha", 3)
    fleet.wait(lambda: all_arrived(recorder, 3), "calls before")
    answers = fleet.app.control.pool_restart(reply=True, timeout=20, limit=1)
    assert "ok" in answers[0]["w0@test"], answers
    fleet.request("alpha", 5)
    fleet.wait(lambda: all_arrived(recorder, 8), "calls after")


def test_a_revoked_call_gives_its_permit_back(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """A task that was revoked by hand is dropped and costs no quota."""
    fleet = make_fleet(alpha='limit = "100/h"')
    fleet.start_worker()
    fleet.limiter.pause("alpha")
    fleet.request("alpha", 1)
    (text,) = fleet.redis.lrange("alpha\x06\x166", 0, -1)
    fleet.app.control.revoke(json.loads(text)["headers"]["id"], reply=True, timeout=10, limit=1)
    fleet.limiter.resume("alpha")
    fleet.wait(lambda: fleet.waiting("alpha") == 0, "the message is taken")
    fleet.wait(lambda: fleet.unacked() == 0, "and acknowledged")
    fleet.wait(lambda: fleet.in_flight("alpha") == 0, "and its permit is back")

    assert fleet.limiter.state("alpha", fleet.spec("alpha")).windows[0].used == 0


def test_a_worker_needs_no_administration_of_redis(
    make_fleet: MakeFleet, recorder: Recorder, redis_url: str
) -> None:
    """Redis as a service keeps INFO, CONFIG, CLIENT LIST and their like from its users."""
    admin = connect(redis_url)
    admin.execute_command(
        "ACL", "SETUSER", "app", "on", ">word", "~*", "&*", "+@all", "-@admin", "-@dangerous"
    )
    fleet = make_fleet(
        url=redis_url.replace("redis://", "redis://app:word@"), alpha='limit = "9/s"'
    )
    worker = fleet.start_worker("sisgate", "alpha")
    fleet.start_beat()
    fleet.request("alpha", 3)
    fleet.wait(lambda: all_arrived(recorder, 3), "calls are made")
    fleet.wait(lambda: fleet.unacked() == 0, "and acknowledged")
    assert "NOPERM" not in worker.log
    admin.execute_command("ACL", "DELUSER", "app")
    admin.close()
