"""Counting the requests of callers for the whole fleet, by the library `limits`."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime

from limits import RateLimitItem, WindowStats
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from sisgate.redis.client import RedisClient
from sisgate.redis.errors import translated
from sisgate.redis.keys import INBOUND, INBOUND_REFUSED

KEPT = 500
"""Refusals that are kept, of all callers."""

REFUSED_SECONDS = 600
"""How long they are."""


def refused_lately(client: RedisClient, now: datetime) -> Counter[tuple[str, str]]:
    """Return how often callers were refused lately, by name and limit, of the last refusals."""
    with translated():
        entries = client.lrange(INBOUND_REFUSED(), 0, -1)
    read = (json.loads(each) for each in entries)
    since = now.timestamp() - REFUSED_SECONDS
    return Counter((name, rate) for at, name, rate in read if at >= since)


class SharedCounters(SlidingWindowCounterRateLimiter):
    """Counts in Redis, over the connections of a client. Raises `BrokerUnavailable`.

    A window ends by the expiry of its key, so no clock of a host matters.
    """

    def __init__(self, client: RedisClient) -> None:
        # The URL only names the kind of server; the pool has the connections.
        storage = RedisStorage(
            "redis://", connection_pool=client.connection_pool, key_prefix=INBOUND(window="")[:-1]
        )
        super().__init__(storage)
        self._redis = client

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Count one request; return whether it is within the limit."""
        with translated():
            return super().hit(item, *identifiers, cost=cost)

    def note_refusal(self, name: str, rate: str, now: datetime) -> None:
        """Note that a caller was refused, and by which limit."""
        entry = json.dumps([round(now.timestamp()), name, rate])
        pipe = self._redis.pipeline(transaction=False)
        pipe.lpush(INBOUND_REFUSED(), entry)
        pipe.ltrim(INBOUND_REFUSED(), 0, KEPT - 1)
        pipe.expire(INBOUND_REFUSED(), REFUSED_SECONDS)
        with translated():
            pipe.execute()

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Return when the next request is possible, and how many are left."""
        with translated():
            return super().get_window_stats(item, *identifiers)
