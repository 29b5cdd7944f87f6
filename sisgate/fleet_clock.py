"""The one clock that all hosts of a fleet share: that of the database, else that of Redis.

A SQLite ledger has no clock of its own, and its processes share one machine; they go by Redis, so
that one whose clock is off agrees with the others.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sisgate.clock import ReferenceClock
from sisgate.embedded.redis_conf import broker_url
from sisgate.errors import SisgateError
from sisgate.ledger.database import is_sqlite, read_clock
from sisgate.redis.client import RedisClient, connect
from sisgate.settings import Settings


def fleet_clock(settings: Callable[[], Settings]) -> ReferenceClock:
    """Return the fleet's clock. Nothing is read or connected before it is asked."""
    client: RedisClient | None = None

    def read() -> datetime | None:
        nonlocal client
        try:
            url = settings().sqlalchemy_url
            if not is_sqlite(url):
                return read_clock(url)
            client = client or connect(broker_url(settings()))
            seconds, micros = client.time()
        except (SisgateError, OSError, ValueError):
            return None
        return datetime.fromtimestamp(seconds + micros / 1e6, UTC)

    return ReferenceClock(read)
