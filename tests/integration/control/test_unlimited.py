"""A provider without a limit is not counted, but it can be held."""

import json

import pytest

from sisgate import Gateway
from sisgate.admission.admitter import Admitted, Admitter
from sisgate.admission.slot_sharing import Want
from sisgate.redis.client import RedisClient, connect
from sisgate.redis.queues import queue_keys


@pytest.fixture
def redis(redis_url: str) -> RedisClient:
    """The broker, with three normal messages in the queue of the provider `open`."""
    client = connect(redis_url)
    for number in range(3):
        properties = {
            "delivery_tag": str(number),
            "delivery_info": {"exchange": "open", "routing_key": "open"},
        }
        client.lpush(queue_keys("open")[2], json.dumps({"properties": properties}))
    return client


def admit(gateway: Gateway, redis: RedisClient) -> Admitted:
    """Take up to two messages, as a worker does."""
    spec = gateway.providers.control("open").limits
    (admitted,) = Admitter(redis, gateway.context.limiter).admit(
        [Want("open", 2, 2)], {"open": spec}
    )
    return admitted


def test_without_a_limit_everything_is_admitted(gateway: Gateway, redis: RedisClient) -> None:
    """As many as there are slots, the oldest first."""
    admitted = admit(gateway, redis)
    assert [taken.tag for taken in admitted.messages] == ["0", "1"]
    assert admitted.left == 1


def test_a_pause_holds_a_provider_without_a_limit(gateway: Gateway, redis: RedisClient) -> None:
    """Paused or blocked, nothing leaves the queue, and it goes on after."""
    gateway.providers.control("open").pause(actor="ana")
    held = admit(gateway, redis)
    assert (held.messages, held.reason, held.left) == ((), "paused", 3)

    gateway.providers.control("open").resume(actor="ana")
    gateway.context.limiter.block("open", 60)
    assert admit(gateway, redis).reason == "blocked"

    gateway.context.limiter.unblock("open")
    assert len(admit(gateway, redis).messages) == 2
