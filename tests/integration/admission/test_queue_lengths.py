"""How many messages wait, of thousands of queues."""

import pytest

from sisgate.redis.client import RedisClient
from sisgate.redis.existing import FEW
from sisgate.redis.queues import list_key, queue_depths


@pytest.mark.parametrize("count", [3, FEW, 2 * FEW])
def test_lengths_are_right_of_few_queues_and_of_many(redis: RedisClient, count: int) -> None:
    """Groups of empty queues are ruled out, and none else."""
    names = [f"p{number}" for number in range(count)]
    redis.rpush(list_key(names[-1], 9), "a", "b")
    redis.rpush(names[1], "c")
    depths = queue_depths(redis, names)
    assert list(depths) == names
    assert {name: depth for name, depth in depths.items() if depth} == {names[1]: 1, names[-1]: 2}
