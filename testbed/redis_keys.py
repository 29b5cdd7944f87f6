"""Which keys in Redis stand in no list: docs/reference/redis-keys.md is to have them all."""

import re
from collections.abc import Iterable
from string import Formatter

from sisgate.redis.client import RedisClient
from sisgate.redis.keys import FAMILIES, PREFIX, KeyFamily
from sisgate.redis.queues import PLANNER_QUEUE, queue_keys

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TRANSPORT = re.compile(
    rf"unacked|unacked_index|unacked_mutex|_kombu\.binding.+|.+\.reply\.celery\.pidbox|{UUID}"
)
"""The keys of Celery's transport, beside the lists of its queues."""


def pattern(family: KeyFamily) -> str:
    """Return keys as the page has them, names in capitals: `sisgate:1:hold:{PROVIDER}`."""
    return family(**{name: name.upper() for name in _names(family)})


def covers(family: KeyFamily, key: str) -> bool:
    """Return whether a key is one of the family."""
    parts = family(**dict.fromkeys(_names(family), "\0")).split("\0")
    return re.fullmatch("(.+)".join(map(re.escape, parts)), key) is not None


def unlisted_of_ours(client: RedisClient) -> list[str]:
    """Return the keys with our prefix that no family covers, or not with their type."""
    keys = sorted(key.decode() for key in client.scan_iter(f"{PREFIX}*", count=1000))
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.type(key)
    types = dict(zip(keys, (kind.decode() for kind in pipe.execute()), strict=True))
    return [
        key
        for key in keys
        # One that has expired meanwhile has no type.
        if not any(covers(one, key) and types[key] in {one.type, "none"} for one in FAMILIES)
    ]


def unlisted(client: RedisClient, providers: Iterable[str]) -> list[str]:
    """Return all keys of a fleet's Redis that neither we nor Celery's transport should have."""
    lists = {key for queue in (PLANNER_QUEUE, *providers) for key in queue_keys(queue)}
    keys = {key.decode() for key in client.scan_iter(count=1000)}
    foreign = {key for key in keys - lists if not key.startswith(PREFIX)}
    return unlisted_of_ours(client) + sorted(key for key in foreign if not TRANSPORT.fullmatch(key))


def _names(family: KeyFamily) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(family.template) if name]
