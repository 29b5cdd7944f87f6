"""Troubles of the fleet itself: its network, workers, beat, Redis and ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sisgate.liveness.heartbeats import Heartbeats
from sisgate.redis.client import connect
from testbed.heartbeats import BEAT
from testbed.scene import DISTRICTS
from testbed.troubles.trouble import Expected, Trouble, of


def network(at: Trouble) -> Expected:
    """No provider can be reached."""
    at.scene.clock.advance(700)
    for name in DISTRICTS[:2]:
        at.scene.districts[name].stop()
        at.scene.load(name, 5)
        at.scene.work(name)
    at.district = at.scene.random.choice(DISTRICTS[:2])
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "network_down")


def loses_workers(at: Trouble) -> Expected:
    """Workers died with calls under way."""
    at.scene.load(at.district, at.scene.random.randint(1, 3))
    at.scene.claim(at.district)
    at.scene.be_alive(calls=())
    at.scene.clock.advance(12)
    at.load = 0
    return of("fleet", "calls_lost")


def worker_missing(at: Trouble) -> Expected:
    """No worker serves it."""
    others = tuple(name for name in DISTRICTS if name != at.district)
    at.scene.be_alive(queues=("sisgate", *others))
    return of("fleet", "worker_missing")


def workers_silent(at: Trouble) -> Expected:
    """The only worker has not been heard of for a while."""
    at.scene.be_silent(at.scene.worker_id, at.scene.random.uniform(30, 300))
    return of("fleet", "worker_missing")


def slots_full(at: Trouble) -> Expected:
    """Every slot is busy with the same tasks."""
    at.scene.be_alive(busy=4, full_seconds=at.scene.random.uniform(70, 600))
    return of("fleet", "slots_full")


def master_key_missing(at: Trouble) -> Expected:
    """No worker has the master key of the provider's key."""
    at.district = "clark"
    at.scene.be_alive(master_keys=("another",))
    return of("fleet", "master_key_missing")


def beat_silent(at: Trouble) -> Expected:
    """Beat has not been heard of for a while."""
    at.scene.be_silent(at.scene.beat_id, at.scene.random.uniform(30, 600))
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "beat_missing")


def planner_missing(at: Trouble) -> Expected:
    """No worker serves the planner's queue."""
    at.scene.be_alive(queues=DISTRICTS)
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "planner_missing")


def clocks_differ(at: Trouble) -> Expected:
    """A host's clock is wrong."""
    at.scene.be_alive(clock_offset_seconds=at.scene.random.choice((-40.0, 7.0, 90.0)))
    return of("fleet", "clocks_differ")


def versions_differ(at: Trouble) -> Expected:
    """A worker runs another version."""
    at.scene.be_alive(version="0.0.1")
    return of("fleet", "versions_differ")


def configuration_lags(at: Trouble) -> Expected:
    """A worker follows an older version of the configuration."""
    path = at.scene.gateway.settings.config_file
    assert path is not None
    number = at.scene.gateway.configuration.apply(path, actor="test").version.number
    at.scene.heartbeats.send(replace(BEAT, configuration=number))
    at.scene.be_alive(configuration=number - 1 or 99)
    return of("fleet", "configuration_lags")


def redis_away(at: Trouble) -> Expected:
    """Redis cannot be reached."""
    nowhere, context = connect("redis://127.0.0.1:1/0"), at.scene.gateway.context
    context.redis = at.scene.gateway._core.redis = nowhere
    vars(context)["heartbeats"] = Heartbeats(nowhere)
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("redis", "redis_unreachable")


def ledger_away(at: Trouble) -> Expected:
    """The database file is gone."""
    at.load = 0
    at.scene.runtime.database.dispose()
    url = at.scene.runtime.database.engine.url.database
    assert url is not None
    Path(url).rename(f"{url}.gone")
    Path(url).mkdir()
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("database", "ledger_unreachable")
