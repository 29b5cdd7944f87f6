"""How keys are used: counted in Redis as calls are made, added to the ledger by beat.

A row per key that every call updates would be the one row that all workers of a provider wait for.
Counts of at most one interval of beat are lost with an emptied Redis; no decision rests on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import redis

from sisgate.errors import BrokerUnavailable

PREFIX = "sisgate:1:key-usage"

_TAKE = """
if redis.call('exists', KEYS[2]) == 0 then
  if redis.call('exists', KEYS[1]) == 0 then return {} end
  redis.call('rename', KEYS[1], KEYS[2])
  local t = redis.call('time')
  redis.call('hset', KEYS[2], 'batch', t[1] * 1000000 + t[2])
end
return redis.call('hgetall', KEYS[2])
"""
_DROP = "if redis.call('hget', KEYS[1], 'batch') == ARGV[1] then redis.call('del', KEYS[1]) end"


@dataclass(frozen=True)
class Use:
    """One request with a key: its status, None where no whole answer came."""

    key_id: str
    status: int | None
    refused: bool = False


class UsageCounter:
    """Counts in Redis. A Redis that is down costs the counts, never the call."""

    def __init__(self, client: redis.Redis, *, prefix: str = PREFIX) -> None:
        self._redis = client
        self._now, self._taken = prefix, f"{prefix}:taken"
        self._take = client.register_script(_TAKE)
        self._drop = client.register_script(_DROP)

    def count(self, uses: list[Use], now: datetime) -> None:
        """Add requests, in one round trip. `BrokerUnavailable`."""
        pipe = self._redis.pipeline(transaction=False)
        at = now.timestamp()
        for use in uses:
            pipe.hincrby(self._now, f"{use.key_id}:calls", 1)
            pipe.hset(self._now, f"{use.key_id}:last", at)
            if use.refused:
                pipe.hincrby(self._now, f"{use.key_id}:refused", 1)
                pipe.hsetnx(self._now, f"{use.key_id}:first-refused", at)
                pipe.hset(self._now, f"{use.key_id}:last-refused", at)
            elif use.status == 429:
                pipe.hincrby(self._now, f"{use.key_id}:throttled", 1)
            elif use.status is None or use.status >= 400:
                pipe.hincrby(self._now, f"{use.key_id}:errors", 1)
        try:
            pipe.execute()
        except redis.RedisError as error:
            raise _unreachable(error) from error

    def take(self) -> tuple[int, dict[str, dict[str, float]]]:
        """Return the number of the batch that is to be added, and its counts by key.

        It is the same batch again until `drop`: who added it and died is followed by another.
        """
        try:
            flat = self._take(keys=[self._now, self._taken])
        except redis.RedisError as error:
            raise _unreachable(error) from error
        pairs = dict(zip(flat[::2], flat[1::2], strict=True))
        batch = int(float(pairs.pop(b"batch", b"0")))
        found: dict[str, dict[str, float]] = {}
        for name, value in pairs.items():
            key_id, _, what = name.decode().partition(":")
            found.setdefault(key_id, {})[what] = float(value)
        return batch, found

    def drop(self, batch: int) -> None:
        """Forget a batch that was added."""
        try:
            self._drop(keys=[self._taken], args=[batch])
        except redis.RedisError as error:
            raise _unreachable(error) from error


def _unreachable(error: redis.RedisError) -> BrokerUnavailable:
    return BrokerUnavailable(f"The counts of keys cannot be reached: {error}")
