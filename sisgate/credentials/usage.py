"""How keys are used: counted in Redis as calls are made, added to the ledger by beat.

If every call updated a row per key, all workers of a provider would wait for that one row. At most
one interval's counts are lost when Redis is emptied, and no decision depends on them.
"""

from dataclasses import dataclass
from datetime import datetime

from sisgate.redis.client import RedisClient
from sisgate.redis.keys import KEY_USAGE, KEY_USAGE_TAKEN
from sisgate.redis.scripts import run_script


@dataclass(frozen=True)
class Use:
    """One request with a key: its status, None if no complete answer came."""

    key_id: str
    status: int | None
    refused: bool = False


class UsageCounter:
    """Counts in Redis. A Redis that is down costs the counts, never the call."""

    def __init__(self, client: RedisClient) -> None:
        self._redis = client

    def count(self, uses: list[Use], now: datetime) -> None:
        """Add requests, in one round trip. `BrokerUnavailable`."""
        pipe, counts = self._redis.pipeline(transaction=False), KEY_USAGE()
        at = now.timestamp()
        for use in uses:
            pipe.hincrby(counts, f"{use.key_id}:calls", 1)
            pipe.hset(counts, f"{use.key_id}:last", at)
            if use.refused:
                pipe.hincrby(counts, f"{use.key_id}:refused", 1)
                pipe.hsetnx(counts, f"{use.key_id}:first-refused", at)
                pipe.hset(counts, f"{use.key_id}:last-refused", at)
            elif use.status == 429:
                pipe.hincrby(counts, f"{use.key_id}:throttled", 1)
            elif use.status is None or use.status >= 400:
                pipe.hincrby(counts, f"{use.key_id}:errors", 1)
        pipe.execute()

    def take(self) -> tuple[int, dict[str, dict[str, float]]]:
        """Return the number of the batch to add, and its counts by key.

        It is the same batch until `drop`, in case the process that added it died before that.
        """
        keys = (KEY_USAGE(), KEY_USAGE_TAKEN())
        flat = run_script(self._redis, "credentials/take_usage", keys)
        pairs = dict(zip(flat[::2], flat[1::2], strict=True))
        batch = int(float(pairs.pop(b"batch", b"0")))
        counts: dict[str, dict[str, float]] = {}
        for name, value in pairs.items():
            key_id, _, what = name.decode().partition(":")
            counts.setdefault(key_id, {})[what] = float(value)
        return batch, counts

    def drop(self, batch: int) -> None:
        """Forget a batch that was added."""
        run_script(self._redis, "credentials/drop_usage", [KEY_USAGE_TAKEN()], [batch])
