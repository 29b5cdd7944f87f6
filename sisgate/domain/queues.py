"""How a queue is laid out in Redis by Celery's transport: one list a priority step."""

from __future__ import annotations

from sisgate.domain.priorities import PRIORITY_STEPS

PRIORITY_SEPARATOR = "\x06\x16"
"""What kombu puts between a queue's name and a priority step in the name of a list."""


def queue_keys(queue: str) -> list[str]:
    r"""Return the Redis lists of a queue, most urgent first.

    >>> queue_keys("powerschool")[1].encode()
    b'powerschool\x06\x163'
    """
    return [queue if not step else f"{queue}{PRIORITY_SEPARATOR}{step}" for step in PRIORITY_STEPS]
