"""Waking those who wait for a job's end or for work. Redis pub/sub is only a hint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sisgate.clock import Clock
from sisgate.errors import BrokerUnavailable
from sisgate.redis.client import RedisClient, RedisPipeline, RedisSubscription
from sisgate.redis.keys import WORK_CHANNEL, job_channel

POLL_SECONDS = 1.0
"""How often a waiter checks the ledger by itself, in case a hint was lost."""


class Wakeups:
    """Announces ended jobs and lets others wait for the announcement."""

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        self._redis = client
        self._clock = clock

    def announce(self, job_id: str) -> None:
        """Wake those waiting for the job. Without Redis they notice a second later."""
        with suppress(BrokerUnavailable):
            self._redis.publish(job_channel(job_id), b"ended")

    def signal_work(self, provider: str, pipe: RedisPipeline | None = None) -> None:
        """Wake the workers waiting for a provider's calls; they also poll.

        With `pipe`, only add this to a pipeline, which the caller executes.
        """
        with suppress(BrokerUnavailable):
            (self._redis if pipe is None else pipe).publish(WORK_CHANNEL, provider)

    def signals(self) -> RedisSubscription:
        """Return a subscription whose messages are names of providers with new work."""
        pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe(WORK_CHANNEL)
        return pubsub

    def wait(self, job_id: str, ended: Callable[[], bool], timeout_seconds: float | None) -> bool:
        """Return True as soon as `ended()` does, False at the timeout.

        `ended` is called immediately, after each announcement, and every `POLL_SECONDS`.
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
                except BrokerUnavailable:
                    self._clock.sleep(min(left, 0.2))

        try:
            with suppress(BrokerUnavailable):
                # Subscribed before the first check, so that no announcement falls in between.
                pubsub.subscribe(job_channel(job_id))
            yield pause
        finally:
            pubsub.close()
