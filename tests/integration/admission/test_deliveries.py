"""When Redis hears that the task of a delivered message has ended."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from kombu.connection import Connection
from kombu.message import Message

from sisgate.redis.client import RedisClient
from sisgate.redis.queues import UNACKED
from workers.admission.deliveries import SteadyQoS

QUEUE = "alpha"


@pytest.fixture
def channel(redis_url: str) -> Iterator[Any]:
    """The channel of a worker."""
    transport = "workers.admission.consumer:CheckingTransport"
    with Connection(redis_url, transport=transport) as connection:
        yield connection.default_channel


@pytest.fixture
def qos(channel: Any) -> SteadyQoS:
    """What the worker keeps of its deliveries."""
    return cast(SteadyQoS, channel.qos)


def delivered(channel: Any, redis_url: str) -> Message:
    """Return a message that is in `unacked`."""
    with Connection(redis_url) as ours, ours.SimpleQueue(QUEUE) as queue:
        queue.put({"call_id": 1})
    return cast(Message, channel.basic_get(QUEUE))


def test_a_pushed_message_is_acknowledged_at_once(
    channel: Any, qos: SteadyQoS, redis: RedisClient, redis_url: str
) -> None:
    """No admission follows its end."""
    delivered(channel, redis_url).ack()
    assert redis.hlen(UNACKED) == 0
    assert qos.take_ended() == []


def test_an_admitted_message_is_acknowledged_by_the_next_admission(
    channel: Any, qos: SteadyQoS, redis: RedisClient, redis_url: str
) -> None:
    """Whoever fails to do so gives it back; after the last admission it is done at once."""
    first, second = (delivered(channel, redis_url) for _ in range(2))
    for message in (first, second):
        qos.append_admitted(message, message.delivery_tag)
    first.ack()
    assert redis.hlen(UNACKED) == 2
    assert qos.take_ended() == [first.delivery_tag]
    assert qos.take_ended() == []
    qos.give_back_ended([first.delivery_tag])
    assert qos.take_ended() == [first.delivery_tag]

    qos.end_admission()
    second.ack()
    assert qos.take_ended() == []
    assert redis.hlen(UNACKED) == 1


def test_an_admitted_message_is_rejected_at_once(
    channel: Any, qos: SteadyQoS, redis: RedisClient, redis_url: str
) -> None:
    """It is back in its queue, or gone."""
    message = delivered(channel, redis_url)
    qos.append_admitted(message, message.delivery_tag)
    message.reject()
    assert redis.hlen(UNACKED) == 0
    assert qos.take_ended() == []
