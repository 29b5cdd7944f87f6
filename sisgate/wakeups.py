"""Waking those who wait: for a job's end, or for work. Redis pub/sub is only a hint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import redis
from redis.client import Pipeline, PubSub

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
        with suppress(redis.RedisError):
            self._redis.publish(self._channel(job_id), b"ended")

    def signal_work(self, provider: str, pipe: Pipeline | None = None) -> None:
        """Wake the workers that wait for a provider's calls; they look by themselves as well.

        With `pipe` as part of a pipeline, which the caller executes.
        """
        with suppress(redis.RedisError):
            (self._redis if pipe is None else pipe).publish(self._work_channel, provider)

    def signals(self) -> PubSub:
        """Return a subscription whose messages are names of providers with new work."""
        pubsub: PubSub = self._redis.pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe(self._work_channel)
        return pubsub

    @property
    def _work_channel(self) -> str:
        return f"{self._prefix}:work"

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
