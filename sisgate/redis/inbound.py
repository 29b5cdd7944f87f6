"""Counting the requests of callers for the whole fleet, by the library `limits`."""

from datetime import datetime

from limits import RateLimitItem, WindowStats
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from sisgate.redis import refusals
from sisgate.redis.client import RedisClient
from sisgate.redis.errors import translated
from sisgate.redis.keys import INBOUND


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
        refusals.note_refusal(self._redis, name, rate, now)

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Return when the next request is possible, and how many are left."""
        with translated():
            return super().get_window_stats(item, *identifiers)
