"""Which keys in Redis stand in no list: docs/reference/redis-keys.md is to have them all."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sisgate.redis.client import RedisClient
from sisgate.redis.keys import FAMILIES, PREFIX
from sisgate.redis.queues import PLANNER_QUEUE, queue_keys

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TRANSPORT = re.compile(
    rf"unacked|unacked_index|unacked_mutex|_kombu\.binding.+|.+\.reply\.celery\.pidbox|{UUID}"
)
"""The keys of Celery's transport, beside the lists of its queues."""


def unlisted_of_ours(client: RedisClient) -> list[str]:
    """Return the keys with our prefix that no family covers."""
    keys = (key.decode() for key in client.scan_iter(f"{PREFIX}*", count=1000))
    return sorted(key for key in keys if not any(family.covers(key) for family in FAMILIES))


def unlisted(client: RedisClient, providers: Iterable[str]) -> list[str]:
    """Return all keys of a fleet's Redis that neither we nor Celery's transport should have."""
    lists = {key for queue in (PLANNER_QUEUE, *providers) for key in queue_keys(queue)}
    keys = {key.decode() for key in client.scan_iter(count=1000)}
    foreign = {key for key in keys - lists if not key.startswith(PREFIX)}
    return unlisted_of_ours(client) + sorted(key for key in foreign if not TRANSPORT.fullmatch(key))
