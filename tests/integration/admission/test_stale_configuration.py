"""A process with an older configuration gets no permit by it, whatever it believes of the limit."""

import json

import pytest

from sisgate.admission.admitter import Admitter
from sisgate.admission.limiter import Limiter
from sisgate.admission.slot_sharing import Want
from sisgate.admission.spec import LimitSpec
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import CONFIGURATION
from sisgate.redis.queues import UNACKED, queue_keys

OLD = LimitSpec((Rate(10, 60),), burst=10, reserves={})
NEW = LimitSpec((Rate(4, 60),), burst=4, reserves={})
UNLIMITED = LimitSpec(())


@pytest.fixture
def published(redis: RedisClient, limiter: Limiter) -> int:
    """Version 7 of the configuration is known to Redis; one call waits for provider p."""
    redis.set(CONFIGURATION(), 7)
    limiter.rebuild("p", OLD, [])
    delivery = {"exchange": "", "routing_key": "p"}
    message = {"properties": {"delivery_tag": "t1", "delivery_info": delivery}}
    redis.lpush(queue_keys("p")[0], json.dumps(message))
    return 7


def test_an_older_version_takes_no_permit(limiter: Limiter, published: int) -> None:
    """A lagging process is told so, and the newer limit is what it gets when it asks again."""
    refused = limiter.take("p", OLD, Priority.URGENT, 10, version=published - 1)
    assert (refused.reason, refused.permits) == ("stale", ())

    granted = limiter.take("p", NEW, Priority.URGENT, 10, version=published)
    assert len(granted.permits) == 4
    assert limiter.state("p", NEW).in_flight == 4


@pytest.mark.parametrize("spec", [OLD, UNLIMITED], ids=["limited", "off"])
def test_an_older_version_takes_no_message(
    spec: LimitSpec, redis: RedisClient, limiter: Limiter, published: int
) -> None:
    """Nothing leaves the queue, also where the older version had no limit at all."""
    admitter = Admitter(redis, limiter)
    (refused,) = admitter.admit([Want("p", 1, 1)], {"p": spec}, published - 1)
    assert (refused.reason, refused.messages) == ("stale", ())
    assert redis.hlen(UNACKED) == 0

    (admitted,) = admitter.admit([Want("p", 1, 1)], {"p": spec}, published)
    assert [taken.tag for taken in admitted.messages] == ["t1"]


def test_a_version_that_redis_does_not_know_yet_is_good(limiter: Limiter, published: int) -> None:
    """A process that read the ledger first is ahead of Redis, and not held up."""
    assert limiter.take("p", NEW, Priority.URGENT, version=published + 1)
