"""Taking messages off queues with permits, in one step, on a real Redis."""

import json
from collections.abc import Iterable

import pytest
from redis.exceptions import ResponseError

from sisgate.admission.admitter import Admitted, Admitter
from sisgate.admission.limiter import MOST_PERMITS, Limiter
from sisgate.admission.slot_sharing import Want
from sisgate.admission.spec import LimitSpec
from sisgate.admission.state import OFF_PERMIT
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.errors import BrokerUnavailable
from sisgate.redis.client import RedisClient
from sisgate.redis.queues import UNACKED, UNACKED_INDEX, queue_keys

OFF = LimitSpec(())
TEN = LimitSpec((Rate(10, 60),), burst=10, reserves={})


@pytest.fixture
def admitter(redis: RedisClient, limiter: Limiter) -> Admitter:
    """An admitter over the limiter of the test."""
    limiter.rebuild("p", TEN, [])
    return Admitter(redis, limiter)


def text_of(tag: str) -> bytes:
    """Return a message as far as the script reads it."""
    delivery = {"exchange": "", "routing_key": "p"}
    return json.dumps({"properties": {"delivery_tag": tag, "delivery_info": delivery}}).encode()


def put(redis: RedisClient, tags: Iterable[str], priority: Priority = Priority.NORMAL) -> None:
    """Enqueue messages, the first one first."""
    for tag in tags:
        redis.lpush(queue_keys("p")[list(Priority).index(priority)], text_of(tag))


def admit(admitter: Admitter, messages: int, rest: int, spec: LimitSpec = OFF) -> Admitted:
    """Ask once for provider p."""
    (admitted,) = admitter.admit([Want("p", messages, rest)], {"p": spec})
    return admitted


def tags(admitted: Admitted) -> list[str]:
    """Return the tags of what was taken."""
    return [taken.tag for taken in admitted.messages]


def test_the_urgent_come_first_and_the_oldest_of_each(
    admitter: Admitter, redis: RedisClient
) -> None:
    """Order is by priority, then by age."""
    put(redis, ["l1"], Priority.LOW)
    put(redis, ["n1", "n2"])
    put(redis, ["u1", "u2"], Priority.URGENT)

    assert tags(admit(admitter, 4, 4)) == ["u1", "u2", "n1", "n2"]
    assert tags(admit(admitter, 4, 4)) == ["l1"]


def test_what_has_ended_is_forgotten_with_the_next_admission(
    admitter: Admitter, redis: RedisClient
) -> None:
    """In the same round trip, and by itself where nothing is to be admitted."""
    put(redis, ["t1", "t2", "t3"])
    first = tags(admit(admitter, 2, 2))
    (second,) = admitter.admit([Want("p", 1, 1)], {"p": OFF}, ended=first)
    assert tags(second) == ["t3"]
    assert set(redis.hgetall(UNACKED)) == {b"t3"} == set(redis.zrange(UNACKED_INDEX, 0, -1))
    admitter.acknowledge(["t3", "unknown"])
    admitter.acknowledge([])
    assert not redis.exists(UNACKED, UNACKED_INDEX)


def test_what_is_taken_stands_in_unacked_as_kombu_keeps_it(
    admitter: Admitter, redis: RedisClient
) -> None:
    """Kombu restores from `[message, exchange, routing key]` under the tag, with a time."""
    put(redis, ["t1"])
    (taken,) = admit(admitter, 1, 1).messages

    message, exchange, key = json.loads(redis.hgetall(UNACKED)[b"t1"])
    assert message == json.loads(taken.text)
    assert (exchange, key) == ("", "p")
    seconds, _ = redis.time()
    assert redis.zcount(UNACKED_INDEX, seconds - 60, seconds + 60) == 1
    assert taken.permit == OFF_PERMIT


def test_no_more_is_taken_than_there_are_permits(admitter: Admitter, redis: RedisClient) -> None:
    """Messages without a permit stay where they are, and the answer tells when to ask again."""
    put(redis, [f"t{n}" for n in range(15)])
    admitted = admit(admitter, 15, 15, TEN)
    again = admit(admitter, 15, 15, TEN)

    assert len(admitted.messages) == 10
    assert len({taken.permit for taken in admitted.messages}) == 10
    assert (again.messages, again.left) == ((), 5)
    assert again.wait_seconds > 0
    assert redis.llen(queue_keys("p")[2]) == 5


def test_a_grant_tells_when_the_next_could_come(admitter: Admitter, redis: RedisClient) -> None:
    """So that a worker does not come back only to hear that there is none."""
    put(redis, [f"t{n}" for n in range(12)])
    taken = admit(admitter, 10, 10, TEN)
    assert (len(taken.messages), taken.reason, taken.left) == (10, "granted", 2)
    assert 5 < taken.wait_seconds <= 6
    asked_again = admit(admitter, 10, 10, TEN)
    assert asked_again.messages == ()


def test_a_look_at_empty_queues_is_one_command(admitter: Admitter, redis: RedisClient) -> None:
    """However many queues a worker serves."""
    admitter.waiting(["a"])
    before = redis.info("commandstats")
    assert admitter.waiting([f"q{number}" for number in range(300)]) == []
    after = redis.info("commandstats")
    made = {
        name: found["calls"] - before.get(name, {"calls": 0})["calls"]
        for name, found in after.items()
        if name != "cmdstat_info"
    }
    assert {name: calls for name, calls in made.items() if calls} == {
        "cmdstat_evalsha": 1,
        "cmdstat_exists": 1,
    }


def test_normal_and_low_are_bounded_apart(admitter: Admitter, redis: RedisClient) -> None:
    """The slot that is kept is for urgent and high work."""
    put(redis, ["l1", "l2", "l3"], Priority.LOW)
    put(redis, ["h1"], Priority.HIGH)
    admitted = admit(admitter, 3, 1)

    assert tags(admitted) == ["h1", "l1"]
    assert (admitted.reason, admitted.left, admitted.wait_seconds) == ("granted", 2, 0.0)


def test_a_limiter_that_lost_its_state_gives_nothing(
    admitter: Admitter, redis: RedisClient
) -> None:
    """Unknown is not full: the messages stay."""
    redis.flushall()
    put(redis, ["t1"])
    admitted = admit(admitter, 1, 1, TEN)

    assert (admitted.reason, admitted.messages) == ("unknown", ())
    assert redis.llen(queue_keys("p")[2]) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"garbage",
        b"42",
        b"null",
        b"[]",
        b'{"properties": 5}',
        b'{"properties": {"delivery_tag": "t"}}',
        text_of("t").replace(b'"t"', b"7"),
        text_of("t").replace(b'""', b"{}"),
        b"[" * 2000 + b"]" * 2000,
        b"\xff\xfe\x00",
    ],
)
def test_what_has_no_tag_is_taken_and_stands_nowhere(
    text: bytes, admitter: Admitter, redis: RedisClient
) -> None:
    """It comes with its permit and without a tag, for the worker to put aside."""
    redis.lpush(queue_keys("p")[2], text)
    put(redis, ["good"])
    admitted = admit(admitter, 2, 2, TEN)

    assert [(taken.tag, taken.text == text) for taken in admitted.messages] == [
        ("", True),
        ("good", False),
    ]
    assert redis.hlen(UNACKED) == 1


def test_an_error_half_way_loses_no_message(admitter: Admitter, redis: RedisClient) -> None:
    """A message leaves its list only after it stands in unacked."""
    put(redis, ["t1"])
    redis.set(UNACKED, "not a hash")
    with pytest.raises(BrokerUnavailable) as caught:
        admit(admitter, 1, 1)

    assert isinstance(caught.value.__cause__, ResponseError)
    assert redis.llen(queue_keys("p")[2]) == 1


def test_more_slots_than_a_script_can_answer_for(admitter: Admitter, redis: RedisClient) -> None:
    """A pool of thousands of green slots asks for as much as one answer may hold."""
    put(redis, [f"t{n}" for n in range(MOST_PERMITS + 10)])
    many = LimitSpec((), max_concurrency=100_000, reserves={})

    assert len(admit(admitter, 5_000, 5_000, many).messages) == MOST_PERMITS
    assert len(admit(admitter, 5_000, 5_000).messages) == 10


def test_waiting_names_the_providers_with_work(admitter: Admitter, redis: RedisClient) -> None:
    """In one round trip, whatever the priority, in the order that was asked."""
    put(redis, ["t1"], Priority.LOW)
    redis.lpush(queue_keys("q")[0], b"x")

    assert admitter.waiting(["o", "q", "p"]) == ["q", "p"]
    assert admitter.waiting([]) == []
