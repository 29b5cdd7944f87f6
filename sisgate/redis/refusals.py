"""The requests of callers that were refused lately, by their limits. Needs no extra."""

import json
from collections import Counter
from datetime import datetime

from sisgate.redis.client import RedisClient
from sisgate.redis.keys import INBOUND_REFUSED

KEPT = 500
"""Refusals that are kept, of all callers."""

REFUSED_SECONDS = 600
"""How long they are."""


def note_refusal(client: RedisClient, name: str, rate: str, now: datetime) -> None:
    """Note that a caller was refused, and by which limit."""
    pipe = client.pipeline(transaction=False)
    pipe.lpush(INBOUND_REFUSED(), json.dumps([round(now.timestamp()), name, rate]))
    pipe.ltrim(INBOUND_REFUSED(), 0, KEPT - 1)
    pipe.expire(INBOUND_REFUSED(), REFUSED_SECONDS)
    pipe.execute()


def refused_lately(client: RedisClient, now: datetime) -> Counter[tuple[str, str]]:
    """Return how often callers were refused lately, by name and limit, of the last refusals."""
    entries = client.lrange(INBOUND_REFUSED(), 0, -1)
    read = (json.loads(each) for each in entries)
    since = now.timestamp() - REFUSED_SECONDS
    return Counter((name, rate) for at, name, rate in read if at >= since)
