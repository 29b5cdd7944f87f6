"""Heartbeats: every worker and beat regularly reports that it is alive and what it serves.

They are kept in Redis, which every job needs, and dated by its `TIME`, because hosts' clocks may
differ. A process that is frozen, or whose loop hangs, sends none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

from sisgate.clock import Clock
from sisgate.errors import BrokerUnavailable
from sisgate.redis.client import RedisClient
from sisgate.redis.errors import refusal_of_writes
from sisgate.redis.keys import (
    DUTIES_LEASE,
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
"""A process that has been silent for longer does not count as alive."""

FORGET_SECONDS = 86_400.0
"""A process that has been silent for this long, without an orderly stop, is forgotten."""

WATCH_SECONDS = 15.0
"""How long a process stays the one that watches the others, unless it renews its turn."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a process reported about itself, and when.

    `queues` are those that a worker consumes now, without those removed by `cancel_consumer`; beat
    has none. `calls` are the ids of the calls that it has, None in a version that does not tell.
    `serves` is what it was told to serve: `all`, `powerschool, pool:north`.
    `configuration` is the version that it follows, and `not_understood` what its code cannot use
    of it; `parts` are the digests of `sisgate.configuration.parts`, empty in a version that does
    not tell. `full_seconds` is how long every slot has been busy with the same tasks, 0 while one
    is free. `clock_offset_seconds` is how far the host's clock is ahead of Redis's, accurate to
    `clock_error_seconds`; None while unknown. `master_keys` are the ids of the master keys that the
    process has. With a `refusal` it did not start, and this is why. `age_seconds` is the age of the
    heartbeat by the clock of Redis.
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
    serves: str = ""
    configuration: int = 0
    not_understood: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[int, ...] | None = None
    refusal: str = ""
    age_seconds: float = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether it came recently enough, from a process that did start."""
        return not self.refusal and self.age_seconds <= ALIVE_SECONDS

    def __str__(self) -> str:
        """Return how messages name the process."""
        return f"{self.name} on {self.host}"


@dataclass(frozen=True)
class Fleet:
    """All known processes, the most recently seen first, and the state of reconciliation.

    `reconciled_seconds` is how long ago a reconcile last succeeded, None for never;
    `reconcile_failure` is why those since have failed, None if they have not, and `failure_code`
    the error's. `leader` is the
    worker that does the fleet's duties at the moment, None between two.
    """

    processes: Sequence[Heartbeat] = ()
    reconciled_seconds: float | None = None
    reconcile_failure: str | None = None
    failure_code: str | None = None
    leader: str | None = None

    def serving(self, queue: str) -> Sequence[Heartbeat]:
        """Return the processes that serve a queue, also silent ones, the latest seen first."""
        return self._by_queue.get(queue, ())

    @cached_property
    def _by_queue(self) -> Mapping[str, Sequence[Heartbeat]]:
        by_queue: dict[str, list[Heartbeat]] = {}
        for process in self.processes:
            for queue in process.queues:
                by_queue.setdefault(queue, []).append(process)
        return by_queue


@dataclass(frozen=True, slots=True)
class ClockDifference:
    """How far this host's clock is ahead of Redis's, and the error of that measurement."""

    seconds: float
    error_seconds: float


class Heartbeats:
    """Sends and reads heartbeats. Every method raises `BrokerUnavailable`."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def send(self, heartbeat: Heartbeat) -> bool:
        """Record that a process is alive; return whether it is the one that watches the others."""
        body = asdict(heartbeat)
        del body["age_seconds"]
        keys = (HEARTBEATS(), HEARTBEAT_TIMES(), HEARTBEAT_WATCH())
        times = (round(FORGET_SECONDS * 1000), round(WATCH_SECONDS * 1000))
        args: list[Argument] = [heartbeat.id, json.dumps(body), *times]
        return bool(run_script(self._redis, "liveness/beat", keys, args))

    def withdraw(self, process_id: str) -> None:
        """Forget a process that stops in an orderly way."""
        pipe = self._redis.pipeline()
        pipe.hdel(HEARTBEATS(), process_id)
        pipe.zrem(HEARTBEAT_TIMES(), process_id)
        pipe.execute()

    def note_reconcile(self, failure: str | None = None, code: str | None = None) -> None:
        """Record that a reconcile has ended, or why it failed, with the code of the error."""
        arguments: list[Argument] = [failure or "", code or ""]
        run_script(self._redis, "liveness/reconciled", [RECONCILES()], arguments)

    def read(self) -> Fleet:
        """Return all processes seen within a day, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        pipe.hgetall(HEARTBEATS())
        pipe.zrange(HEARTBEAT_TIMES(), 0, -1, withscores=True)
        pipe.hgetall(RECONCILES())
        pipe.get(DUTIES_LEASE())
        (seconds, micros), bodies, times, reconciles, leader = pipe.execute()
        now_ms = seconds * 1000 + micros / 1000
        ages = {name: max(0.0, (now_ms - at) / 1000) for name, at in times}
        read = (_heartbeat(body, ages.get(name)) for name, body in bodies.items())
        done, reason = reconciles.get(b"done_ms"), reconciles.get(b"reason")
        code = reconciles.get(b"code")
        return Fleet(
            sorted(filter(None, read), key=lambda heartbeat: heartbeat.age_seconds),
            None if done is None else max(0.0, (now_ms - float(done)) / 1000),
            None if reason is None else reason.decode(),
            code.decode() if code else None,
            None if leader is None else leader.decode().rpartition("/")[0],
        )

    def refusal_of_writes(self) -> str | None:
        """Return why Redis responds but refuses writes (memory, a replica), or None."""
        try:
            self._redis.set(WRITE_PROBE(), b"1", px=1000)
        except BrokerUnavailable as error:
            return refusal_of_writes(error)
        return None

    def clock_difference(self, clock: Clock) -> ClockDifference:
        """Return how far this host's clock is ahead of Redis's, in one round trip."""
        begun, sent = clock.now(), clock.monotonic()
        seconds, micros = self._redis.time()
        took = max(0.0, clock.monotonic() - sent)
        middle = begun.timestamp() + took / 2
        return ClockDifference(middle - (seconds + micros / 1e6), took / 2)


def _heartbeat(body: bytes, age_seconds: float | None) -> Heartbeat | None:
    """Return the heartbeat in `body`; None for one of an incompatible version."""
    known = {each.name for each in fields(Heartbeat)}
    try:
        values = {name: value for name, value in json.loads(body).items() if name in known}
        for name in ("queues", "master_keys", "not_understood"):
            values[name] = tuple(values.get(name, ()))
        if values.get("calls") is not None:
            values["calls"] = tuple(values["calls"])
        heartbeat = Heartbeat(**values)
    except (ValueError, TypeError, AttributeError):
        return None
    return None if age_seconds is None else replace(heartbeat, age_seconds=age_seconds)
