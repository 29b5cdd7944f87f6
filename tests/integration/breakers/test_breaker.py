"""pybreaker's face on a breaker that the fleet shares."""

import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pybreaker
import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry
from structlog.testing import capture_logs

from sisgate.breakers.breaker import BreakerOpen, FleetBreaker
from sisgate.breakers.fleet import FleetBreakers
from sisgate.breakers.spec import BreakerSpec, State
from sisgate.clock import SystemClock, poll_until
from sisgate.domain.response_class import Outcome
from sisgate.errors import BrokerUnavailable, CircuitOpen
from sisgate.redis.client import RedisClient, connect
from sisgate.redis.keys import PROBE_GATE
from testbed.clock import ManualClock
from testbed.redis import RedisServer

A, B = "https://a.test", "https://b.test"
SPEC = BreakerSpec(fail_max=3, open_seconds=10, jitter=0.0, probe_lease_seconds=60)


class Down(Exception):
    """The endpoint fails."""


class Ear(pybreaker.CircuitBreakerListener):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        self.changes.append((old_state.name, new_state.name))


def fleet_of(redis: RedisClient, clock: ManualClock, *endpoints: str) -> FleetBreakers:
    """Return what one worker has of the fleet's breakers."""
    return FleetBreakers(redis, "lincoln", endpoints or (A,), SPEC, script_clock=clock)


def logged(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the transitions in a log."""
    return [
        f"{entry['endpoint']} {entry['after']} {entry['reason']}"
        for entry in entries
        if entry["event"] == "breaker_changed"
    ]


def held_until(redis: RedisClient) -> float:
    """Return the end of the hold in milliseconds."""
    return float(redis.hget(PROBE_GATE(provider="lincoln"), "until") or "nan")


def fail(breaker: FleetBreaker, times: int = 1) -> None:
    """Make calls that fail."""

    def down() -> None:
        raise Down

    for _ in range(times):
        with pytest.raises(Down):
            breaker.call(down)


def test_what_one_worker_sees_every_worker_knows(redis: RedisClient, clock: ManualClock) -> None:
    """Failures add up over instances, and the transition is told once in the fleet."""
    ears = [Ear(), Ear(), Ear()]
    breakers = [
        FleetBreaker(fleet_of(redis, clock), A, listeners=[ear], clock=clock) for ear in ears
    ]
    with capture_logs() as entries:
        for breaker in breakers:
            fail(breaker)
        for breaker in breakers:
            with pytest.raises(pybreaker.CircuitBreakerError):
                breaker.call(pytest.fail, "a call was made")
            assert breaker.current_state == pybreaker.STATE_OPEN
    assert logged(entries) == [f"{A} open failures"]
    assert [ear.changes for ear in ears] == [[], [], [("closed", "open")]]


def test_who_is_refused_learns_how_long(redis: RedisClient, clock: ManualClock) -> None:
    """Waiting is not failing: the error is a deferral as well as pybreaker's."""
    breaker = FleetBreaker(fleet_of(redis, clock), A, clock=clock)
    fail(breaker, 3)
    clock.advance(4)
    with pytest.raises(CircuitOpen) as refused, breaker.calling():
        pass
    assert isinstance(refused.value, BreakerOpen)
    assert refused.value.seconds == 6


def test_only_one_of_many_threads_probes(redis: RedisClient, clock: ManualClock) -> None:
    """When the opening is over, in the whole fleet."""
    breakers = [FleetBreaker(fleet_of(redis, clock), A, clock=clock) for _ in range(8)]
    fail(breakers[0], 3)
    clock.advance(10)
    passed: list[FleetBreaker] = []
    refused: list[FleetBreaker] = []
    all_asked = threading.Event()

    def probe(breaker: FleetBreaker) -> None:
        try:
            with breaker.calling():
                passed.append(breaker)
                all_asked.wait(timeout=20)
        except BreakerOpen:
            refused.append(breaker)
            if len(refused) == len(breakers) - 1:
                all_asked.set()

    threads = [threading.Thread(target=probe, args=(breaker,)) for breaker in breakers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(passed) == 1
    assert len(refused) == len(breakers) - 1


def test_a_neutral_call_frees_the_probe(redis: RedisClient, clock: ManualClock) -> None:
    """In pybreaker itself an excluded error would be a success and close the breaker."""
    breaker = FleetBreaker(fleet_of(redis, clock), A, clock=clock)
    fail(breaker, 3)
    clock.advance(10)
    for _ in range(3):
        with breaker.calling() as call:
            call.judge(Outcome.NEUTRAL)
        assert breaker.current_state == pybreaker.STATE_HALF_OPEN
    for _ in range(2):
        assert breaker.call(lambda: 7) == 7
    assert breaker.current_state == pybreaker.STATE_CLOSED


def test_what_ends_a_process_is_neutral(redis: RedisClient, clock: ManualClock) -> None:
    """It says nothing about the endpoint."""
    breaker = FleetBreaker(fleet_of(redis, clock), A, clock=clock)
    for _ in range(3):
        with pytest.raises(SystemExit), breaker.calling():
            raise SystemExit
    assert breaker.current_state == pybreaker.STATE_CLOSED


def test_a_call_may_be_judged_by_its_answer(redis: RedisClient, clock: ManualClock) -> None:
    """An answer of 500 is no exception and a failure all the same."""
    breaker = FleetBreaker(fleet_of(redis, clock), A, clock=clock)
    for _ in range(3):
        with breaker.calling() as call:
            call.judge(Outcome.FAILURE, took_seconds=0.2)
    assert breaker.current_state == pybreaker.STATE_OPEN


def test_calls_of_one_breaker_run_side_by_side(redis: RedisClient, clock: ManualClock) -> None:
    """In pybreaker itself `call` would hold its lock while the first one runs."""
    breaker = FleetBreaker(fleet_of(redis, clock), A, clock=clock)
    both = threading.Barrier(2, timeout=20)
    threads = [threading.Thread(target=breaker.call, args=(both.wait,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not both.broken


def test_a_pin_holds_until_its_time(redis: RedisClient, clock: ManualClock) -> None:
    """Set by one, heeded by all, and ended by itself. Only changes of the state are told."""
    ear, fleet = Ear(), fleet_of(redis, clock)
    breaker = FleetBreaker(fleet, A, listeners=[ear], clock=clock)
    fleet.pin(A, State.OPEN, clock.now() + timedelta(seconds=90))
    clock.advance(89)
    with pytest.raises(BreakerOpen), breaker.calling():
        pass
    clock.advance(1)
    with capture_logs() as entries, breaker.calling():
        pass
    assert logged(entries) == [f"{A} open pin_ended", f"{A} half-open due"]
    assert ear.changes == [("open", "half-open")]


def test_a_pin_without_end_lasts_until_unpinned(redis: RedisClient, clock: ManualClock) -> None:
    """Whatever comes of the calls, and however long it takes."""
    fleet = fleet_of(redis, clock)
    breaker = FleetBreaker(fleet, A, clock=clock)
    fleet.pin(A, State.CLOSED)
    fail(breaker, 30)
    assert breaker.current_state == pybreaker.STATE_CLOSED
    fleet.pin(A, State.OPEN)
    clock.advance(1e6)
    with pytest.raises(BreakerOpen) as refused, breaker.calling():
        pass
    assert refused.value.seconds == float("inf")
    fleet.unpin(A)
    with breaker.calling():
        pass


def test_the_queue_is_held_only_while_no_endpoint_is_closed(
    redis: RedisClient, clock: ManualClock
) -> None:
    """The hold says when the next message may be taken as a probe."""
    fleet = fleet_of(redis, clock, A, B)
    now_ms = clock.now().timestamp() * 1000
    fail(FleetBreaker(fleet, A, clock=clock), 3)
    assert not redis.exists(PROBE_GATE(provider="lincoln"))
    assert fleet.open_seconds() is None
    clock.advance(3)
    fail(FleetBreaker(fleet, B, clock=clock), 3)
    assert held_until(redis) == now_ms + 10_000
    assert fleet.open_seconds() == 7
    clock.advance(7)
    for _ in range(2):
        with FleetBreaker(fleet, A, clock=clock).calling():
            assert held_until(redis) == now_ms + 13_000
    assert not redis.exists(PROBE_GATE(provider="lincoln"))


def test_without_redis_no_call_is_made_and_with_it_again_all_goes_on(
    redis: RedisClient, redis_url: str, clock: ManualClock
) -> None:
    """Nothing but Redis coming back is needed, also for a breaker made in between."""
    impatient = connect(redis_url, socket_timeout=0.1, retry=Retry(NoBackoff(), 0))
    breaker = FleetBreaker(fleet_of(impatient, clock), A, clock=clock)
    fail(breaker, 2)
    redis.client_pause(1500)
    with pytest.raises(BrokerUnavailable):
        breaker.call(pytest.fail, "a call was made")
    newcomer = FleetBreaker(fleet_of(impatient, clock), A, clock=clock)
    assert newcomer.current_state == pybreaker.STATE_OPEN
    assert poll_until(
        lambda: newcomer.current_state == pybreaker.STATE_CLOSED,
        clock=SystemClock(),
        timeout_seconds=20,
    )
    fail(newcomer)
    assert breaker.current_state == pybreaker.STATE_OPEN
    impatient.close()


def test_an_outcome_that_cannot_be_told_does_not_cost_the_answer(clock: ManualClock) -> None:
    """Redis goes while the call runs: the caller has its answer."""
    server = RedisServer()
    client = connect(server.url, socket_timeout=5, retry=Retry(NoBackoff(), 0))
    breaker = FleetBreaker(fleet_of(client, clock), A, clock=clock)

    def answer() -> str:
        server.stop()
        return "answer"

    assert breaker.call(answer) == "answer"
