"""The kinds of mishap, as data: how often each is drawn, what it does, and when it is over."""

import os
import random
import signal
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.faults.fleet import Fleet
from tests.faults.proxy import Proxy

Undo = Callable[[], None]
"""What ends a mishap that lasts."""


@dataclass(frozen=True)
class Mishap:
    """One kind. `act` returns None where it had nobody to hit, else what ends it.

    `kills` tells whether it is a SIGKILL (or a server's immediate shutdown). One that `lasts` is
    ended after a moment, the others are over at once.
    """

    kind: str
    weight: int
    act: Callable[[Fleet, random.Random], Undo | None]
    kills: bool = False
    lasts: bool = False


def _over() -> None:
    return None


def _kill_child(fleet: Fleet, numbers: random.Random) -> Undo | None:
    children = [pid for worker in fleet.workers for pid in worker.children]
    if not children:
        return None
    with suppress(ProcessLookupError):
        os.kill(numbers.choice(children), signal.SIGKILL)
        return _over
    return None


def _kill_parent(fleet: Fleet, numbers: random.Random) -> Undo | None:
    working = [worker for worker in fleet.workers if worker.children]
    if not working:
        return None
    numbers.choice(working).kill()
    return _over


def _kill_worker(fleet: Fleet, numbers: random.Random) -> Undo | None:
    working = [worker for worker in fleet.workers if worker.children]
    if not working:
        return None
    numbers.choice(working).kill_all()
    return _over


def _kill_beat(fleet: Fleet, numbers: random.Random) -> Undo | None:
    (beat,) = fleet.beats
    if not beat.pid:
        return None
    beat.kill_all()
    return _over


def _kill_app(fleet: Fleet, numbers: random.Random) -> Undo | None:
    if not fleet.asker.pid:
        return None
    fleet.asker.kill_all()
    return _over


def _stop_worker(fleet: Fleet, numbers: random.Random) -> Undo | None:
    children = [pid for worker in fleet.workers for pid in worker.children]
    if not children:
        return None
    child = numbers.choice(children)

    def go_on() -> None:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)

    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGSTOP)
        return go_on
    return None


def _kill_redis(fleet: Fleet, numbers: random.Random) -> Undo | None:
    fleet.redis.kill()
    fleet.redis.start()
    return _over


def _kill_redis_and_its_data(fleet: Fleet, numbers: random.Random) -> Undo | None:
    fleet.redis.client.flushall()
    fleet.redis.kill()
    fleet.redis.start()
    return _over


def _flush_redis(fleet: Fleet, numbers: random.Random) -> Undo | None:
    fleet.redis.client.flushall()
    return _over


def _freeze_redis(fleet: Fleet, numbers: random.Random) -> Undo | None:
    fleet.redis.freeze()
    return fleet.redis.thaw


def _kill_postgres(fleet: Fleet, numbers: random.Random) -> Undo | None:
    assert fleet.postgres is not None
    fleet.postgres.kill()
    fleet.postgres.start()
    return _over


def _shut_down_postgres(fleet: Fleet, numbers: random.Random) -> Undo | None:
    assert fleet.postgres is not None
    fleet.postgres.shut_down_at_once()
    fleet.postgres.start()
    return _over


def _freeze_postgres(fleet: Fleet, numbers: random.Random) -> Undo | None:
    assert fleet.postgres is not None
    fleet.postgres.freeze()
    return fleet.postgres.thaw


def _lock_sqlite(fleet: Fleet, numbers: random.Random) -> Undo | None:
    # As a backup or an administrator's shell would.
    holder = sqlite3.connect(fleet.folder / "ledger.sqlite3", timeout=30, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    def let_go() -> None:
        holder.rollback()
        holder.close()

    return let_go


def _network(proxy_of: Callable[[Fleet], Proxy | None], how: str) -> Callable[..., Undo | None]:
    def act(fleet: Fleet, numbers: random.Random) -> Undo | None:
        proxy = proxy_of(fleet)
        assert proxy is not None
        if how == "delay":
            proxy.delay(numbers.uniform(0.05, 0.3))
        else:
            getattr(proxy, how)()
        return proxy.heal

    return act


def mishaps_of(fleet: Fleet) -> Sequence[Mishap]:
    """Return what can happen to a fleet. Death at a named point is drawn beside these."""
    everywhere = [
        Mishap("pool child killed", 30, _kill_child, kills=True),
        Mishap("worker parent killed", 4, _kill_parent, kills=True),
        Mishap("worker killed with its pool", 4, _kill_worker, kills=True),
        Mishap("beat killed", 4, _kill_beat, kills=True),
        Mishap("asking app killed", 4, _kill_app, kills=True),
        Mishap("pool child stopped a moment", 2, _stop_worker, lasts=True),
        Mishap("Redis killed", 3, _kill_redis, kills=True),
        Mishap("Redis killed and emptied", 2, _kill_redis_and_its_data, kills=True),
        Mishap("Redis emptied (FLUSHALL)", 2, _flush_redis),
        Mishap("Redis frozen (SIGSTOP)", 2, _freeze_redis, lasts=True),
        *_network_mishaps("Redis", lambda fleet: fleet.to_redis),
        *_network_mishaps("the provider", lambda fleet: fleet.to_provider),
    ]
    if fleet.postgres is None:
        return [*everywhere, Mishap("SQLite locked by another", 3, _lock_sqlite, lasts=True)]
    return [
        *everywhere,
        Mishap("PostgreSQL killed", 3, _kill_postgres, kills=True),
        Mishap("PostgreSQL shut down at once", 3, _shut_down_postgres, kills=True),
        Mishap("PostgreSQL frozen (SIGSTOP)", 2, _freeze_postgres, lasts=True),
        *_network_mishaps("PostgreSQL", lambda fleet: fleet.to_postgres),
    ]


def _network_mishaps(whom: str, proxy_of: Callable[[Fleet], Proxy | None]) -> list[Mishap]:
    return [
        Mishap(f"connections to {whom} {word}", 1, _network(proxy_of, how), lasts=lasts)
        for how, word, lasts in (
            ("delay", "slow", True),
            ("hold", "held", True),
            ("reset", "reset", False),
            ("cut", "cut", False),
            ("refuse", "refused", True),
        )
    ]
