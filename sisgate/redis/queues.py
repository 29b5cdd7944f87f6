"""Celery's queues as its transport stores them in Redis: one list per priority step."""

from bisect import bisect
from collections.abc import Iterable, Sequence
from functools import cache

from sisgate.domain.priorities import PRIORITY_STEPS
from sisgate.redis.client import RedisClient
from sisgate.redis.existing import FEW, existing

PLANNER_QUEUE = "sisgate"
"""The queue of sync planning and of beat's tasks."""

PRIORITY_SEPARATOR = "\x06\x16"
"""kombu's separator of queue name and priority step in the name of a list."""

UNACKED, UNACKED_INDEX = "unacked", "unacked_index"
"""kombu's keys: unacknowledged deliveries, and their times."""


def queue_keys(queue: str) -> list[str]:
    r"""Return the Redis lists of a queue, most urgent first.

    >>> queue_keys("powerschool")[1].encode()
    b'powerschool\x06\x163'
    """
    return [queue if not step else f"{queue}{PRIORITY_SEPARATOR}{step}" for step in PRIORITY_STEPS]


def list_key(queue: str, priority: int) -> str:
    r"""Return the Redis list of a queue that holds messages of a priority.

    >>> list_key("powerschool", 0), list_key("powerschool", 4).encode()
    ('powerschool', b'powerschool\x06\x163')
    """
    return queue + _ending(priority)


@cache
def _ending(priority: int) -> str:
    step = PRIORITY_STEPS[max(0, bisect(PRIORITY_STEPS, priority) - 1)]
    return f"{PRIORITY_SEPARATOR}{step}" if step else ""


def list_lengths(
    client: RedisClient, lists: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """Return how many messages wait in each (queue, priority), in three round trips at most."""
    keys = {each: [list_key(*each)] for each in lists}
    filled = list(keys) if len(keys) <= FEW else existing(client, keys)
    pipe = client.pipeline(transaction=False)
    for each in filled:
        pipe.llen(*keys[each])
    return dict.fromkeys(lists, 0) | dict(zip(filled, pipe.execute(), strict=True))


def queue_depths(client: RedisClient, queues: Iterable[str]) -> dict[str, int]:
    """Return how many messages wait in each queue."""
    names = list(queues)
    lengths = list_lengths(client, [(name, step) for name in names for step in PRIORITY_STEPS])
    return {name: sum(lengths[name, step] for step in PRIORITY_STEPS) for name in names}
