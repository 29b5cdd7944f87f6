"""Waking those who wait for a job. Redis pub/sub is only a hint; the ledger tells the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import redis

from sisgate.clock import Clock

POLL_SECONDS = 1.0
"""How often a waiter looks at the ledger by itself, in case a hint was lost."""


class Wakeups:
    """Announces ended jobs and lets others wait for the announcement."""

    def __init__(self, client: redis.Redis, clock: Clock, *, prefix: str = "sisgate:1") -> None:
        self._redis = client
        self._clock = clock
        self._prefix = prefix

    def announce(self, job_id: str) -> None:
        """Wake whoever waits for the job. A Redis that is down only makes them a second late."""
        try:
            self._redis.publish(self._channel(job_id), b"ended")
        except redis.RedisError:
            return

    def wait(self, job_id: str, ended: Callable[[], bool], timeout_seconds: float | None) -> bool:
        """Return True as soon as `ended()` is, False when the time is over first.

        `ended` is asked at once, after each announcement, and every `POLL_SECONDS`.
        """
        with self._subscription(job_id) as pause:
            begun = self._clock.monotonic()
            while not ended():
                left = POLL_SECONDS
                if timeout_seconds is not None:
                    left = min(left, timeout_seconds - (self._clock.monotonic() - begun))
                if left <= 0:
                    return False
                pause(left)
            return True

    @contextmanager
    def _subscription(self, job_id: str) -> Iterator[Callable[[float], None]]:
        pubsub = self._redis.pubsub(ignore_subscribe_messages=True)

        def pause(seconds: float) -> None:
            deadline = self._clock.monotonic() + seconds
            while (left := deadline - self._clock.monotonic()) > 0:
                try:
                    if pubsub.get_message(timeout=left) is not None:
                        return
                except redis.RedisError:
                    self._clock.sleep(min(left, 0.2))

        try:
            with suppress(redis.RedisError):
                # Subscribed before the first look, so that no announcement falls in between.
                pubsub.subscribe(self._channel(job_id))
            yield pause
        finally:
            pubsub.close()

    def _channel(self, job_id: str) -> str:
        return f"{self._prefix}:ended:{job_id}"
