"""The slots of a worker: no provider takes them all, and one is kept for the urgent."""

from testbed.fleet import MakeFleet
from testbed.recorder import Recorder


def test_a_slow_provider_cannot_take_every_slot(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """While one provider's calls hang, another one's go on in the same worker."""
    fleet = make_fleet(alpha='limit = "off"', beta='limit = "off"')
    fleet.start_worker(concurrency=3)
    recorder.latency = lambda: 15.0
    fleet.request("alpha", 10)
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 2, "slow calls hold their share")
    recorder.latency = lambda: 0.0
    fleet.request("beta", 20)
    fleet.wait(lambda: len(recorder["beta"].arrivals) == 20, "the other's calls", seconds=12)

    assert len(recorder["alpha"].arrivals) == 2


def test_a_slot_is_kept_for_the_urgent(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """With four slots or more, low calls leave one; an urgent call starts in it at once."""
    fleet = make_fleet(alpha='limit = "off"')
    fleet.start_worker(concurrency=4)
    recorder.latency = lambda: 15.0
    fleet.request("alpha", 10, "low")
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 3, "low calls hold their slots")
    fleet.request("alpha", 1, "urgent")
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 4, "the urgent call", seconds=12)

    assert recorder["alpha"].arrivals[-1].path.startswith("/urgent")


def test_the_planners_slot_is_lent_to_quick_calls(
    make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """Until calls are slow again; what is planned meanwhile is planned."""
    fleet = make_fleet(alpha='limit = "off"', beta='limit = "off"')
    fleet.start_worker("sisgate", "alpha", "beta", concurrency=2)
    fleet.request("alpha", 40)
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 40, "quick calls")
    recorder.latency = lambda: 3.0
    fleet.request("alpha", 3)
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 42, "a call in either slot")
    job = fleet.gateway.sync("beta", "orgs")
    fleet.wait(lambda: job.status().state == "running", "the plan of the sync", seconds=20)


def test_a_slot_is_kept_for_the_planner(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """A worker full of calls that hang still plans a sync."""
    fleet = make_fleet(alpha='limit = "off"', beta='limit = "off"')
    fleet.start_worker("sisgate", "alpha", "beta", concurrency=2)
    recorder.latency = lambda: 15.0
    fleet.request("alpha", 10, "urgent")
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 1, "a call that hangs")
    job = fleet.gateway.sync("beta", "orgs")
    fleet.wait(lambda: job.status().state == "running", "the plan of the sync", seconds=12)

    assert len(recorder["alpha"].arrivals) == 1
