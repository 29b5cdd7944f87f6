"""What admission promises holds on every pool, in one worker and over many."""

from itertools import pairwise

import pytest

from testbed.fleet import MakeFleet
from testbed.recorder import Recorder, between, windows_above

SERIAL_SECONDS = 0.1
"""How long the provider that takes one call at a time answers."""

POOLS = ("prefork", "threads", "solo", "gevent")


@pytest.mark.parametrize("pool", POOLS)
def test_limit_holds_and_the_urgent_go_first(
    pool: str, make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """No window holds more than the limit; urgent calls pass the low ones that wait."""
    fleet = make_fleet(alpha='limit = "20/2s"\nburst = 20')
    fleet.request("alpha", 45, "low")
    fleet.start_worker(pool=pool, concurrency=2)
    fleet.wait(lambda: len(recorder["alpha"].arrivals) >= 18, "low calls run")
    fleet.request("alpha", 5, "urgent")
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 50, "all calls")

    assert windows_above(recorder["alpha"].times, 20, 2.0) == 0
    paths = [arrival.path for arrival in recorder["alpha"].arrivals]
    last_urgent = max(i for i, path in enumerate(paths) if "urgent" in path)
    assert sum("low" in path for path in paths[last_urgent:]) >= 10
    assert set(recorder["alpha"].paths.values()) == {1}
    fleet.wait(lambda: fleet.unacked() == 0, "all are acknowledged")


def test_several_providers_share_one_worker(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """Each provider keeps its own limit; one without quota left does not hold up another."""
    fleet = make_fleet(
        alpha='limit = "10/60s"\nburst = 10',
        beta='limit = "20/2s"\nburst = 20',
        gamma='limit="off"',
    )
    for provider in ("alpha", "beta", "gamma"):
        fleet.request(provider, 40)
    fleet.start_worker(concurrency=2)
    fleet.wait(lambda: len(recorder["gamma"].arrivals) == 40, "the unlimited provider's calls")
    fleet.wait(lambda: len(recorder["beta"].arrivals) == 40, "the second provider's calls")

    assert windows_above(recorder["beta"].times, 20, 2.0) == 0
    assert len(recorder["alpha"].arrivals) <= 10


def test_limits_hold_over_several_workers(make_fleet: MakeFleet, recorder: Recorder) -> None:
    """Three workers of different pools together: one window, two windows, one call at a time."""
    recorder.latency = between(0.0, 0.4)
    recorder.latencies["serial"] = lambda: SERIAL_SECONDS
    fleet = make_fleet(
        alpha='limit = "20/2s"\nburst = 20',
        double='limit = ["20/4s", "8/s"]\nburst = 20',
        serial='limit = "1000/h"\nburst = 100\nmax_concurrency = 1',
    )
    counts = {"alpha": 60, "double": 40, "serial": 20}
    for provider, count in counts.items():
        fleet.request(provider, count)
    for pool in ("prefork", "threads", "gevent"):
        fleet.start_worker(pool=pool, concurrency=4)
    for provider, count in counts.items():
        fleet.wait(lambda p=provider, n=count: len(recorder[p].arrivals) == n, f"all of {provider}")  # type: ignore[misc]

    assert windows_above(recorder["alpha"].times, 20, 2.0) == 0
    assert windows_above(recorder["double"].times, 20, 4.0) == 0
    assert windows_above(recorder["double"].times, 8, 1.0) == 0
    serial = recorder["serial"].times
    assert min(b - a for a, b in pairwise(serial)) >= SERIAL_SECONDS
    for provider in counts:
        assert set(recorder[provider].paths.values()) == {1}


def test_nothing_is_held_while_a_provider_is_blocked(
    make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """The backlog of a provider without permits stays in the broker, all of it."""
    fleet = make_fleet(alpha='limit = "off"', beta='limit = "1000/h"')
    fleet.limiter.block("beta", 600)
    fleet.start_worker(concurrency=4)
    fleet.request("beta", 30)
    fleet.request("alpha", 30)
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 30, "the other provider's calls")
    fleet.wait(lambda: fleet.unacked() == 0, "all are acknowledged")

    assert fleet.waiting("beta") == 30
    assert recorder["beta"].arrivals == []
    assert fleet.in_flight("beta") == 0
    fleet.limiter.unblock("beta")
    fleet.wait(lambda: len(recorder["beta"].arrivals) == 30, "the block's end")
