"""Admission takes nothing off a queue whose provider is held, but one message as the probe."""

import json

import pytest

from sisgate.admission.admitter import Admitted, Admitter
from sisgate.admission.limiter import Limiter
from sisgate.admission.slot_sharing import Want
from sisgate.admission.spec import LimitSpec
from sisgate.breakers.fleet import FleetBreakers
from sisgate.breakers.spec import BreakerSpec, BreakerToken, State
from sisgate.domain.response_class import Outcome
from sisgate.redis.client import RedisClient
from sisgate.redis.queues import queue_keys
from testbed.clock import ManualClock

URL = "https://a.test"
SPEC = BreakerSpec(fail_max=1, open_seconds=10, jitter=0.0, success_threshold=1)


@pytest.fixture
def breakers(redis: RedisClient, clock: ManualClock) -> FleetBreakers:
    """The breakers of provider p, which has one endpoint."""
    return FleetBreakers(redis, "p", (URL,), SPEC, script_clock=clock)


@pytest.fixture
def admitter(redis: RedisClient, clock: ManualClock) -> Admitter:
    """An admitter on the same time, and ten messages."""
    delivery = {"exchange": "", "routing_key": "p"}
    for number in range(10):
        properties = {"delivery_tag": str(number), "delivery_info": delivery}
        redis.lpush(queue_keys("p")[2], json.dumps({"properties": properties}))
    return Admitter(redis, Limiter(redis, script_clock=clock))


def admit(admitter: Admitter) -> Admitted:
    """Ask for five messages."""
    (admitted,) = admitter.admit([Want("p", 5, 5)], {"p": LimitSpec(())})
    return admitted


def ask(breakers: FleetBreakers) -> BreakerToken:
    """Ask for a token, which is given."""
    token = breakers.ask(URL).token
    assert token is not None
    return token


def fail(breakers: FleetBreakers) -> None:
    """Make a call that opens the breaker."""
    breakers.report(URL, ask(breakers), Outcome.FAILURE)


def test_a_held_queue_gives_nothing_and_says_how_long(
    admitter: Admitter, breakers: FleetBreakers
) -> None:
    """Messages stay where they are."""
    fail(breakers)
    held = admit(admitter)
    assert (held.messages, held.reason, held.left) == ((), "circuit_open", 10)
    assert held.wait_seconds == pytest.approx(10)


def test_when_the_opening_is_over_one_message_is_the_probe(
    admitter: Admitter, breakers: FleetBreakers, clock: ManualClock
) -> None:
    """No second one while the first one's worker has not asked, nor while it probes."""
    fail(breakers)
    clock.advance(10)
    assert len(admit(admitter).messages) == 1
    assert admit(admitter).messages == ()
    token = ask(breakers)
    clock.advance(100)
    assert admit(admitter).messages == ()
    breakers.report(URL, token, Outcome.SUCCESS)
    assert len(admit(admitter).messages) == 5


def test_a_worker_that_died_with_the_probe_holds_nothing_up(
    admitter: Admitter, breakers: FleetBreakers, clock: ManualClock
) -> None:
    """Before it asked: for some seconds. After it asked: until its lease ends."""
    fail(breakers)
    clock.advance(10)
    assert len(admit(admitter).messages) == 1
    clock.advance(5)
    assert len(admit(admitter).messages) == 1
    ask(breakers)
    clock.advance(SPEC.probe_lease_seconds)
    assert len(admit(admitter).messages) == 1


def test_a_message_that_called_nothing_makes_room_at_once(
    admitter: Admitter, breakers: FleetBreakers, clock: ManualClock
) -> None:
    """Its job was cancelled, say."""
    fail(breakers)
    clock.advance(10)
    assert len(admit(admitter).messages) == 1
    assert breakers.refresh_gate()
    assert len(admit(admitter).messages) == 1


def test_a_hold_that_outlived_its_reason_ends_with_the_first_call(
    redis: RedisClient, admitter: Admitter, breakers: FleetBreakers, clock: ManualClock
) -> None:
    """The endpoints were configured anew while they were held."""
    fail(breakers)
    anew = FleetBreakers(redis, "p", ("https://b.test",), SPEC, script_clock=clock)
    clock.advance(10)
    assert len(admit(admitter).messages) == 1
    assert anew.ask("https://b.test").token is not None
    assert len(admit(admitter).messages) == 5


def test_a_pin_holds_the_queue_and_its_end_frees_it(
    admitter: Admitter, breakers: FleetBreakers
) -> None:
    """Open until a person says otherwise; then the next message is a probe."""
    breakers.pin(URL, State.OPEN)
    assert admit(admitter).reason == "circuit_open"
    breakers.unpin(URL)
    assert len(admit(admitter).messages) == 1
