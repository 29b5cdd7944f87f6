"""Troubles of the fleet itself: its network, workers, beat, Redis and ledger."""

from dataclasses import replace
from pathlib import Path

from sqlalchemy import event, text

from sisgate.liveness.heartbeats import Heartbeats
from sisgate.redis.client import connect
from testbed.heartbeats import BEAT, WORKER
from testbed.scene import DISTRICTS
from testbed.troubles.trouble import Expected, Trouble, kind, of


@kind()
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


@kind()
def loses_workers(at: Trouble) -> Expected:
    """Workers died with calls under way."""
    at.scene.load(at.district, at.scene.random.randint(1, 3))
    at.scene.claim(at.district)
    at.scene.be_alive(calls=())
    at.scene.clock.advance(12)
    at.load = 0
    return of("fleet", "calls_lost")


@kind()
def worker_missing(at: Trouble) -> Expected:
    """No worker serves it."""
    others = tuple(name for name in DISTRICTS if name != at.district)
    at.scene.be_alive(queues=("sisgate", *others))
    return of("fleet", "worker_missing")


@kind()
def workers_silent(at: Trouble) -> Expected:
    """The only worker has not been heard of for a while."""
    at.scene.be_silent(at.scene.worker_id, at.scene.random.uniform(30, 300))
    return of("fleet", "worker_missing")


@kind()
def slots_full(at: Trouble) -> Expected:
    """Every slot is busy with the same tasks."""
    at.scene.be_alive(busy=4, full_seconds=at.scene.random.uniform(70, 600))
    return of("fleet", "slots_full")


@kind()
def master_key_missing(at: Trouble) -> Expected:
    """No worker has the master key of the provider's key."""
    at.district = "clark"
    at.scene.be_alive(master_keys=("another",))
    return of("fleet", "master_key_missing")


@kind()
def beat_silent(at: Trouble) -> Expected:
    """Beat has not been heard of for a while."""
    at.scene.be_silent(at.scene.beat_id, at.scene.random.uniform(30, 600))
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "beat_missing")


@kind()
def planner_missing(at: Trouble) -> Expected:
    """No worker serves the planner's queue."""
    at.scene.be_alive(queues=DISTRICTS)
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "planner_missing")


@kind()
def clocks_differ(at: Trouble) -> Expected:
    """A host's clock is wrong."""
    at.scene.be_alive(clock_offset_seconds=at.scene.random.choice((-40.0, 7.0, 90.0)))
    return of("fleet", "clocks_differ")


@kind()
def versions_differ(at: Trouble) -> Expected:
    """A worker runs another version."""
    at.scene.be_alive(version="0.0.1")
    return of("fleet", "versions_differ")


@kind()
def configuration_lags(at: Trouble) -> Expected:
    """A worker follows an older version of the configuration."""
    path = at.scene.gateway.settings.config_file
    assert path is not None
    number = at.scene.gateway.configuration.apply(path, actor="test").version.number
    at.scene.heartbeats.send(replace(BEAT, configuration=number))
    at.scene.be_alive(configuration=number - 1 or 99)
    return of("fleet", "configuration_lags")


@kind()
def redis_away(at: Trouble) -> Expected:
    """Redis cannot be reached."""
    nowhere, context = connect("redis://127.0.0.1:1/0"), at.scene.gateway.context
    context.redis = at.scene.gateway._core.redis = nowhere
    vars(context)["heartbeats"] = Heartbeats(nowhere)
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("redis", "redis_unreachable")


@kind()
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


@kind()
def redis_full(at: Trouble) -> Expected:
    """Redis has no memory left."""
    redis = at.scene.runtime.redis
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("maxmemory", 1)
    at.scene.at_end.callback(redis.config_set, "maxmemory", 0)
    at.load, at.works = 0, False
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("redis", "redis_refuses_writes")


@kind()
def schema_behind(at: Trouble) -> Expected:
    """The tables are those of an older version: nobody ran `sisgate db upgrade`."""
    at.load, at.works = 0, False
    with at.scene.runtime.database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    _reconciles_fail(at, "no such column: jobs.trace_id")
    return of("database", "schema_behind")


@kind()
def ledger_locked(at: Trouble) -> Expected:
    """Another program holds the ledger's lock, so that nobody can write."""
    _reconciles_fail(at, "The ledger is busy: database is locked.", "database_unavailable")
    at.load, at.works = 0, False
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("database", "ledger_unusable", says="locked")


@kind(usual=24)
def ledger_slow(at: Trouble) -> Expected:
    """Every transaction takes more than a second."""
    seconds = at.scene.random.uniform(1.2, 4)
    engine = at.scene.runtime.database.engine

    def commit(*_: object) -> None:
        at.scene.clock.advance(seconds)

    event.listen(engine, "commit", commit)
    at.scene.at_end.callback(event.remove, engine, "commit", commit)
    at.load = max(at.load, 4)
    return of("database", "ledger_slow", may_doubt=True)


@kind()
def limiter_gone(at: Trouble) -> Expected:
    """Redis was emptied of the limiters' counts, and no worker rebuilds them."""
    at.scene.load(at.district, 3)
    for key in at.scene.runtime.redis.scan_iter("sisgate:1:limit:*"):
        at.scene.runtime.redis.delete(key)
    at.works = False
    return of("fleet", "limiter_rebuilds")


@kind()
def worker_refused(at: Trouble) -> Expected:
    """A second worker does not start."""
    other = replace(WORKER, id="other", name="w2@there", host="there", refusal="Its clock is off.")
    at.scene.heartbeats.send(other)
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "worker_refused")


@kind()
def beat_clock(at: Trouble) -> Expected:
    """Beat's host has another time."""
    beat = replace(BEAT, host="there", clock_offset_seconds=at.scene.random.choice((-240.0, 600.0)))
    at.scene.heartbeats.send(beat)
    return of("fleet", "clocks_differ", says="there")


@kind()
def not_understood(at: Trouble) -> Expected:
    """A worker cannot use a part of the configuration."""
    at.scene.be_alive(not_understood=("providers.lincoln.strategy",))
    return of("fleet", "configuration_not_understood")


@kind()
def slots_hang(at: Trouble) -> Expected:
    """Every slot waits for this provider, which does not answer: it is the provider."""
    at.scene.load(at.district, 4)
    held = at.scene.claim(at.district)
    at.scene.clock.advance(at.scene.random.uniform(100, 200))
    at.scene.be_alive(calls=tuple(held), busy=4, full_seconds=100.0)
    at.load, at.works = 3, False
    return of("provider", "provider_slow", name=at.district)


@kind()
def one_worker_of_two(at: Trouble) -> Expected:
    """One of two workers has gone silent; the other one goes on."""
    at.scene.heartbeats.send(replace(WORKER, id="other", name="w2@there", queues=DISTRICTS))
    at.scene.be_silent("other", 100)
    return of("fleet", "worker_silent", or_well=True)


def _reconciles_fail(at: Trouble, why: str, code: str = "error") -> None:
    """Let no reconcile have succeeded for a while, as the workers note it."""
    at.scene.heartbeats.note_reconcile(why, code)
    now, _ = at.scene.runtime.redis.time()
    since = (now - at.scene.random.uniform(30, 300)) * 1000
    at.scene.runtime.redis.hset("sisgate:1:reconciles", "done_ms", since)
