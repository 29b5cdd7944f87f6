"""Cancels that overtake their sync: noted, so that the sync is cancelled when it comes.

Two messages of one queue may be handled side by side or come back after a worker was lost, so
`sisgate.cancel` may be handled before the `sisgate.sync` that was sent before it.
"""

from __future__ import annotations

from contextlib import suppress

from redis import Redis, RedisError

PREFIX = "sisgate:1:cancelled-early:"

KEPT_SECONDS = 3600
"""For so long a cancel waits for its sync."""


class EarlyCancels:
    """The ids of jobs that an app has cancelled and that are not known yet.

    Kept in Redis alone: without it a cancel that came too early is refused, and that is all.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def note(self, job_id: str, app: str) -> None:
        """Note that an app has cancelled a job that is not known."""
        with suppress(RedisError):
            self._redis.set(PREFIX + job_id, app, ex=KEPT_SECONDS)

    def has(self, job_id: str, app: str) -> bool:
        """Return whether the app has cancelled the job before it was known."""
        with suppress(RedisError):
            return self._redis.get(PREFIX + job_id) == app.encode()
        return False
