"""How a queue is laid out in Redis by Celery's transport: one list a priority step."""

from __future__ import annotations

from bisect import bisect

from sisgate.domain.priorities import PRIORITY_STEPS

PLANNER_QUEUE = "sisgate"
"""Where syncs are planned, and beat's tasks are done."""

PRIORITY_SEPARATOR = "\x06\x16"
"""What kombu puts between a queue's name and a priority step in the name of a list."""


def hold_key(queue: str, prefix: str = "sisgate:1") -> str:
    """Return the Redis key of a queue's hold, which exists while nothing can be done with its work.

    It is a hash. Before its `until` (ms since 1970) nothing is taken off the queue; after it one
    message, and whoever takes it moves `until` to when the next may be taken.
    """
    return f"{prefix}:hold:{{{queue}}}"


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
    step = PRIORITY_STEPS[max(0, bisect(PRIORITY_STEPS, priority) - 1)]
    return f"{queue}{PRIORITY_SEPARATOR}{step}" if step else queue
