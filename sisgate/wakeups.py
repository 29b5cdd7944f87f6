"""Waking those who wait for a job's end or for work. Redis pub/sub is only a hint."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

from sisgate.clock import Clock
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.ledger.database import Database
from sisgate.ledger.job_search import live_among
from sisgate.redis.client import RedisClient, RedisPipeline, RedisSubscription
from sisgate.redis.keys import ENDED_CHANNEL, WORK_CHANNEL

POLL_SECONDS = 1.0
"""How often the ledger is asked which of the awaited jobs have ended, in case a hint was lost."""

CONNECT_SECONDS = 0.5
"""How long a waiter waits for the subscription of its process to begin."""

IDLE_SECONDS = 10.0
"""How long the subscription is kept without a waiter."""

LONGEST_WAIT_SECONDS = 10.0
"""After so long a waiter looks by itself, should the subscription have been closed meanwhile."""

Wake = Callable[[], object]
"""Called from another thread, possibly more than once and too early: look at the ledger again."""


class Wakeups:
    """Announces ended jobs and lets others wait for the announcement."""

    def __init__(self, client: RedisClient, clock: Clock, database: Database | None = None) -> None:
        self._redis = client
        self._clock = clock
        self._ends = JobEnds(client, clock, database)

    def announce(self, job_id: str) -> None:
        """Wake those waiting for the job. Without Redis they notice a second later."""
        with suppress(BrokerUnavailable):
            self._redis.publish(ENDED_CHANNEL, job_id)

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

        `ended` is called immediately, and again whenever the job may have ended.
        """
        with self.waiter(job_id) as waiter:
            return waiter.wait(ended, timeout_seconds)

    @contextmanager
    def waiter(self, job_id: str) -> Iterator[Waiter]:
        """Hear of the end of a job from here on, which may not be accepted yet."""
        woken = threading.Event()
        with self.watch(job_id, woken.set):
            # An announcement should not fall in between; if it does, that costs a poll.
            self._ends.settled.wait(CONNECT_SECONDS)
            yield Waiter(woken, self._clock)

    def watch(self, job_id: str, wake: Wake) -> AbstractContextManager[None]:
        """Within the block, call `wake` when the job may have ended; then read the ledger.

        Does not block. All watchers of a process share one connection to Redis.
        """
        return self._ends.watched(job_id, wake)

    def close(self) -> None:
        """End the subscription. Whoever still waits is woken."""
        self._ends.close()


@dataclass(frozen=True)
class Waiter:
    """Waits for the end of one job, of which it hears."""

    _woken: threading.Event
    _clock: Clock

    def wait(
        self, ended: Callable[[], bool], timeout_seconds: float | None, *, is_new: bool = False
    ) -> bool:
        """Return True as soon as `ended()` does, False at the timeout.

        `ended` is called immediately, and again whenever the job may have ended. A job that
        `is_new`, accepted after the waiter was there, is not asked about before it was heard of.
        """
        begun = self._clock.monotonic()
        while is_new or not ended():
            is_new = False
            left = LONGEST_WAIT_SECONDS
            if timeout_seconds is not None:
                left = min(left, timeout_seconds - (self._clock.monotonic() - begun))
            if left <= 0:
                return False
            self._woken.wait(left)
            self._woken.clear()
        return True


class JobEnds:
    """One subscription to the ends of jobs for all waiters of a process, in a thread of its own.

    The thread lives while somebody waits. Once every `POLL_SECONDS` it asks the ledger about all
    awaited jobs in one query. If the ledger cannot be reached, everybody is woken: their own query
    then raises.
    """

    def __init__(self, client: RedisClient, clock: Clock, database: Database | None) -> None:
        self._redis = client
        self._clock = clock
        self._database = database
        self._lock = threading.Lock()
        self._watchers: dict[str, dict[object, Wake]] = {}
        self._thread: threading.Thread | None = None
        self.settled = threading.Event()
        """Set once the thread has subscribed, or has found that it cannot."""
        self._has_new = False
        """Whether somebody began to wait since the last poll."""
        self._is_closed = False

    @contextmanager
    def watched(self, job_id: str, wake: Wake) -> Iterator[None]:
        """Register a watcher within the block."""
        mark = object()
        with self._lock:
            self._watchers.setdefault(job_id, {})[mark] = wake
            self._has_new = True
            # After a fork, the parent's thread is not alive here.
            if self._thread is None or not self._thread.is_alive():
                self.settled.clear()
                self._thread = threading.Thread(target=self._run, name="job-ends", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                ours = self._watchers.get(job_id, {})
                ours.pop(mark, None)
                if not ours:
                    self._watchers.pop(job_id, None)

    def close(self) -> None:
        """End the thread, if there is one."""
        with self._lock:
            thread, self._is_closed = self._thread, True
        if thread is not None and thread.is_alive():
            with suppress(BrokerUnavailable):
                self._redis.publish(ENDED_CHANNEL, "")  # wakes our own thread, too
            thread.join(2 * POLL_SECONDS)

    def _run(self) -> None:
        pubsub: RedisSubscription | None = None
        now = self._clock.monotonic()
        polled_at = busy_at = now
        while self._goes_on(now - busy_at):
            try:
                pubsub = pubsub or self._subscribed()
                message = pubsub.get_message(timeout=max(0.0, polled_at + POLL_SECONDS - now))
                self.settled.set()
                if message is not None and message["type"] == "message":
                    self._wake([message["data"].decode()])
            except BrokerUnavailable:
                self.settled.set()
                _close(pubsub)
                pubsub = None
                self._clock.sleep(min(0.2, POLL_SECONDS))
            now = self._clock.monotonic()
            if now - polled_at >= POLL_SECONDS:
                polled_at = now
                busy_at = now if self._poll() else busy_at
        _close(pubsub)

    def _goes_on(self, idle_seconds: float) -> bool:
        """Return False to end the thread; a later watcher then begins another."""
        with self._lock:
            if not self._is_closed and (self._watchers or idle_seconds < IDLE_SECONDS):
                return True
            self._thread = None
            waiting = list(self._watchers)
        self._wake(waiting)
        return False

    def _subscribed(self) -> RedisSubscription:
        pubsub = self._redis.pubsub()
        pubsub.subscribe(ENDED_CHANNEL)
        return pubsub

    def _poll(self) -> bool:
        """Wake watchers of jobs that have ended; return whether anybody waits or has waited."""
        with self._lock:
            waiting = list(self._watchers)
            is_used, self._has_new = bool(waiting) or self._has_new, False
        if waiting:
            self._wake(self._ended(waiting))
        return is_used

    def _ended(self, waiting: list[str]) -> list[str]:
        if self._database is None:
            return waiting
        try:
            with self._database.read() as session:
                live = live_among(session, waiting)
        except DatabaseUnavailable:
            return waiting
        return [each for each in waiting if each not in live]

    def _wake(self, job_ids: list[str]) -> None:
        with self._lock:
            wakes = [w for each in job_ids for w in self._watchers.get(each, {}).values()]
        for wake in wakes:
            wake()


def _close(pubsub: RedisSubscription | None) -> None:
    if pubsub is not None:
        with suppress(BrokerUnavailable):
            pubsub.close()
