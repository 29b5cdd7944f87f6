"""Heartbeats: every worker and beat says now and then that it is alive, and what it serves.

They live in Redis, because what a job needs to go on is Redis first, and are dated by the `TIME` of
Redis: the clocks of hosts may differ. A process that is frozen, or whose loop hangs, sends none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

from sisgate.clock import Clock
from sisgate.errors import BrokerUnavailable
from sisgate.redis.client import RedisClient
from sisgate.redis.errors import refusal_of_writes
from sisgate.redis.keys import (
    HEARTBEAT_TIMES,
    HEARTBEAT_WATCH,
    HEARTBEATS,
    RECONCILES,
    WRITE_PROBE,
)
from sisgate.redis.scripts import Argument, run_script

EVERY_SECONDS = 5.0
"""How often a process sends its heartbeat."""

ALIVE_SECONDS = 15.0
"""A process that has been silent for longer is not taken for alive."""

FORGET_SECONDS = 86_400.0
"""A process that has been silent for so long, and was not stopped in order, is forgotten."""

WATCH_SECONDS = 15.0
"""How long one process is the one that watches the others, unless it renews that."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a process says of itself, and when it last did.

    `queues` are those that a worker takes messages from now, without those that it has been made to
    leave (`cancel_consumer`); beat has none. `full_seconds` is for how long every slot has been
    busy with the same tasks, 0 while one is free. `clock_offset_seconds` is how far the host's
    clock is ahead of that of Redis, known to `clock_error_seconds`; None while it is not known.
    `master_keys` are the ids of those that the process has. `age_seconds` is how long ago the
    heartbeat came, by the clock of Redis.
    """

    id: str
    kind: Literal["worker", "beat"]
    host: str
    pid: int
    name: str
    version: str
    queues: tuple[str, ...] = ()
    pool: str = ""
    slots: int = 0
    busy: int = 0
    full_seconds: float = 0.0
    clock_offset_seconds: float | None = None
    clock_error_seconds: float = 0.0
    master_keys: tuple[str, ...] = ()
    age_seconds: float = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether it came recently enough."""
        return self.age_seconds <= ALIVE_SECONDS


@dataclass(frozen=True, slots=True)
class Fleet:
    """All processes that were heard of, the last one first, and the reconciles.

    `reconciled_seconds` is how long ago a reconcile last ended well, None if none ever has;
    `reconcile_failure` is why the ones since have failed, None where they have not.
    """

    processes: Sequence[Heartbeat] = ()
    reconciled_seconds: float | None = None
    reconcile_failure: str | None = None


@dataclass(frozen=True, slots=True)
class ClockDifference:
    """How far this host's clock is ahead of that of Redis, and how far off that may be."""

    seconds: float
    error_seconds: float


class Heartbeats:
    """Sends and reads heartbeats. Every method raises `BrokerUnavailable`."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def send(self, heartbeat: Heartbeat) -> bool:
        """Note that a process is alive; return whether it is the one that watches the others."""
        body = asdict(heartbeat)
        del body["age_seconds"]
        keys = (HEARTBEATS(), HEARTBEAT_TIMES(), HEARTBEAT_WATCH())
        times = (round(FORGET_SECONDS * 1000), round(WATCH_SECONDS * 1000))
        args: list[Argument] = [heartbeat.id, json.dumps(body), *times]
        return bool(run_script(self._redis, "liveness/beat", keys, args))

    def withdraw(self, process_id: str) -> None:
        """Forget a process that stops in order."""
        pipe = self._redis.pipeline()
        pipe.hdel(HEARTBEATS(), process_id)
        pipe.zrem(HEARTBEAT_TIMES(), process_id)
        pipe.execute()

    def note_reconcile(self, failure: str | None = None) -> None:
        """Note that a reconcile has ended, or why it failed."""
        run_script(self._redis, "liveness/reconciled", [RECONCILES()], [failure or ""])

    def read(self) -> Fleet:
        """Return all processes that were heard of within a day, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        pipe.hgetall(HEARTBEATS())
        pipe.zrange(HEARTBEAT_TIMES(), 0, -1, withscores=True)
        pipe.hgetall(RECONCILES())
        (seconds, micros), bodies, times, reconciles = pipe.execute()
        now_ms = seconds * 1000 + micros / 1000
        ages = {name: max(0.0, (now_ms - at) / 1000) for name, at in times}
        read = (_heartbeat(body, ages.get(name)) for name, body in bodies.items())
        done, reason = reconciles.get(b"done_ms"), reconciles.get(b"reason")
        return Fleet(
            sorted(filter(None, read), key=lambda one: one.age_seconds),
            None if done is None else max(0.0, (now_ms - float(done)) / 1000),
            None if reason is None else reason.decode(),
        )

    def refusal_of_writes(self) -> str | None:
        """Return why Redis answers but takes no writes (memory, a replica), or None."""
        try:
            self._redis.set(WRITE_PROBE(), b"1", px=1000)
        except BrokerUnavailable as error:
            return refusal_of_writes(error)
        return None

    def clock_difference(self, clock: Clock) -> ClockDifference:
        """Return how far this host's clock is ahead of that of Redis: one round trip."""
        begun, sent = clock.now(), clock.monotonic()
        seconds, micros = self._redis.time()
        took = max(0.0, clock.monotonic() - sent)
        middle = begun.timestamp() + took / 2
        return ClockDifference(middle - (seconds + micros / 1e6), took / 2)


def _heartbeat(body: bytes, age_seconds: float | None) -> Heartbeat | None:
    """Return a heartbeat as it was read; None for one of another version that does not fit."""
    known = {field.name for field in fields(Heartbeat)}
    try:
        found = {name: value for name, value in json.loads(body).items() if name in known}
        for name in ("queues", "master_keys"):
            found[name] = tuple(found.get(name, ()))
        heartbeat = Heartbeat(**found)
    except (ValueError, TypeError, AttributeError):
        return None
    return None if age_seconds is None else replace(heartbeat, age_seconds=age_seconds)
