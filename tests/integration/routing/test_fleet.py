"""What the fleet knows of endpoints, on a real Redis, with time that moves when told."""

import random
from collections import Counter

import pytest

from sisgate.domain.response_class import Outcome
from sisgate.redis.client import RedisClient
from sisgate.redis.scripts import run_scripts
from sisgate.routing.fleet import FleetEndpoints, RunningCall
from sisgate.routing.outliers import EndpointHistory, RoutingSpec, outliers
from sisgate.routing.strategies import STRATEGIES, Candidate, Snapshot
from testbed.clock import ManualClock

A, B, C = "https://a.test", "https://b.test", "https://c.test"
SPEC = RoutingSpec(minimum_calls=4)
HOLDS_SECONDS = 300.0


@pytest.fixture
def fleet(redis: RedisClient, clock: ManualClock) -> FleetEndpoints:
    """Three endpoints."""
    return FleetEndpoints(redis, "lincoln", (A, B, C), SPEC, script_clock=clock)


def running(fleet: FleetEndpoints) -> list[int]:
    """Return the running calls of each endpoint."""
    return [known.in_flight for known in fleet.look()[1]]


def latency(fleet: FleetEndpoints, place: int = 0) -> float:
    """Return what is known of an endpoint's latency."""
    return fleet.look()[1][place].latency_seconds or 0.0


def call(fleet: FleetEndpoints, url: str, *, fails: bool = False, seconds: float = 0.1) -> None:
    """Make a call."""
    outcome = Outcome.FAILURE if fails else Outcome.SUCCESS
    end(begin(fleet, url), outcome, seconds)


def begin(fleet: FleetEndpoints, url: str) -> RunningCall:
    """Begin a call."""
    made = fleet.running_call(url, 60)
    run_scripts(made.scripts.client, [made.begin()])
    return made


def end(made: RunningCall, outcome: Outcome, seconds: float) -> None:
    """End a call."""
    run_scripts(made.scripts.client, [made.end(outcome, seconds)])


def check(fleet: FleetEndpoints, *, good: bool) -> str:
    """Check the first endpoint."""
    return fleet.note_check(A, good=good, holds=HOLDS_SECONDS)


def test_running_calls_are_counted_until_they_end(fleet: FleetEndpoints) -> None:
    """A second finish takes nothing more away."""
    first, _ = begin(fleet, A), begin(fleet, A)
    begin(fleet, B)
    for _ in range(2):
        end(first, Outcome.NEUTRAL, 0.1)
    assert running(fleet) == [1, 1, 0]


def test_calls_of_a_dead_worker_end_with_their_lease(
    fleet: FleetEndpoints, clock: ManualClock, redis: RedisClient
) -> None:
    """Nobody finishes them, and nothing of them stays."""
    begin(fleet, A)
    clock.advance(59)
    assert running(fleet) == [1, 0, 0]
    clock.advance(1)
    assert running(fleet) == [0, 0, 0]
    begin(fleet, A)
    assert redis.zcard(f"sisgate:1:route:{{lincoln}}:running:{A}") == 1


def test_latency_follows_peaks_at_once_and_calm_slowly(
    fleet: FleetEndpoints, clock: ManualClock
) -> None:
    """The peak EWMA; it fades, so that a slow endpoint is tried again."""
    call(fleet, A, seconds=0.2)
    call(fleet, A, seconds=4.0)
    assert latency(fleet) == pytest.approx(4.0)
    call(fleet, A, seconds=0.2)
    assert latency(fleet) == pytest.approx(4.0)
    clock.advance(SPEC.decay_seconds)
    assert latency(fleet) == pytest.approx(4.0 / 2.71828, rel=1e-3)
    call(fleet, A, seconds=0.2)
    assert latency(fleet) == pytest.approx(4.0 / 2.71828 + 0.2 * (1 - 1 / 2.71828), rel=1e-3)


def test_an_endpoint_that_fails_at_once_does_not_look_fast(fleet: FleetEndpoints) -> None:
    """Failures teach no latency."""
    call(fleet, A, seconds=2.0)
    call(fleet, B, fails=True, seconds=0.001)
    assert latency(fleet, 0) == pytest.approx(2.0)
    assert latency(fleet, 1) == 0.0


def test_an_outlier_is_ejected_once_and_comes_back(
    fleet: FleetEndpoints, clock: ManualClock
) -> None:
    """Of many workers that see the same one ejects, and the next time it lasts longer."""
    for url in (A, B, C):
        for _ in range(6):
            call(fleet, url, fails=url == B)
    [found] = outliers([known.record for known in fleet.look()[1]], SPEC)
    assert found.url == B
    assert [fleet.eject(found) for _ in range(3)] == [True, False, False]
    clock.advance(30)
    back = fleet.look()[1][1]
    assert (back.record.ejected, back.back_seconds) == (False, 0.0)
    assert back.record.calls == 0
    assert fleet.eject(back.record)
    clock.advance(59)
    assert fleet.look()[1][1].record.ejected
    clock.advance(1)
    assert not fleet.look()[1][1].record.ejected


def test_ejections_long_ago_are_forgiven(fleet: FleetEndpoints, clock: ManualClock) -> None:
    """The next one lasts as long as the first."""
    assert fleet.eject(EndpointHistory(B))
    assert fleet.look()[1][1].record.ejections == 1
    clock.advance(30 + 2 * SPEC.eject_cap_seconds + 1)
    assert fleet.look()[1][1].record.ejections == 0


def test_workers_that_decide_at_once_keep_the_cap(fleet: FleetEndpoints) -> None:
    """One of three, however many were found."""
    assert [fleet.eject(EndpointHistory(url)) for url in (A, B, C)] == [True, False, False]


def test_health_checks_need_a_row(fleet: FleetEndpoints, clock: ManualClock) -> None:
    """Three bad ones make an endpoint unwell, two good ones well."""
    heard = [check(fleet, good=good) for good in (False, False, True, False, False)]
    assert heard == [""] * 5
    assert check(fleet, good=False) == "unwell"
    known = fleet.look()[1][0]
    assert (known.unwell, known.record.ejected) == (True, True)
    clock.advance(100)
    assert [check(fleet, good=True) for _ in range(2)] == ["", "well"]
    clock.advance(3)
    known = fleet.look()[1][0]
    assert (known.record.ejected, known.back_seconds) == (False, 3.0)


def test_what_nobody_checks_any_more_is_not_kept_out(
    fleet: FleetEndpoints, clock: ManualClock
) -> None:
    """A finding ends by itself; the endpoint then starts slowly, as after a good check."""
    for _ in range(3):
        check(fleet, good=False)
    clock.advance(HOLDS_SECONDS)
    assert fleet.look()[1][0].unwell
    clock.advance(1)
    known = fleet.look()[1][0]
    assert (known.unwell, known.record.ejected, known.back_seconds) == (False, False, 1.0)
    assert known.checked_seconds == HOLDS_SECONDS + 1
    assert [check(fleet, good=False) for _ in range(3)] == ["", "", "unwell"]


def test_the_fleet_takes_turns_together(redis: RedisClient, clock: ManualClock) -> None:
    """Workers that know nothing of each other keep the weights between them."""
    workers = [
        FleetEndpoints(redis, "lincoln", (A, B, C), SPEC, script_clock=clock) for _ in range(3)
    ]
    chosen = Counter[str]()
    for i in range(80):
        turn, _ = workers[i % 3].look(take_turn=True)
        candidates = (Candidate(A, weight=5), Candidate(B, weight=2), Candidate(C))
        choice = STRATEGIES["weighted"](Snapshot(candidates, turn), random.Random(1))
        assert choice is not None
        chosen[choice.url] += 1
    assert chosen == {A: 50, B: 20, C: 10}
