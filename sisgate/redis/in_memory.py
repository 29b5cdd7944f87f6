"""A Redis in the memory of this process, for tests of apps: extra `sisgate[testing]`."""

import fakeredis
import redis

from sisgate.redis.client import RedisClient


def connect_in_memory() -> RedisClient:
    """Return a client of a Redis of its own, empty, whose scripts are run by Lua as in Redis."""
    pool = redis.ConnectionPool(
        connection_class=fakeredis.FakeRedisConnection, server=fakeredis.FakeServer(version=(7, 2))
    )
    return RedisClient.from_pool(pool)  # type: ignore[return-value]  # typed as its base
