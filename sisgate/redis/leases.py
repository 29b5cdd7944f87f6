"""Leases: what one process of the fleet may do at a time, until its time is over."""

from sisgate.redis.client import RedisClient
from sisgate.redis.scripts import run_script


class Lease:
    """A lease on `key` for one `holder`; the clock of Redis ends it `seconds` after it was held.

    A holder that was frozen may go on after another has taken the lease: what is done under it
    must be harmless when done twice. Methods raise `BrokerUnavailable`.
    """

    def __init__(self, redis: RedisClient, key: str, holder: str, seconds: float) -> None:
        self._redis = redis
        self._key = key
        self._holder = holder
        self._milliseconds = round(seconds * 1000)

    def hold(self) -> bool:
        """Take or renew the lease; return False while another holds it."""
        args = (self._holder, self._milliseconds)
        return bool(run_script(self._redis, "redis/hold_lease", [self._key], args))

    def release(self) -> None:
        """End the lease, if it is still this holder's."""
        run_script(self._redis, "redis/release_lock", [self._key], [self._holder])
