"""Troubles of Redis and of the database that are none of being away."""

import resource
import socket
import threading
from contextlib import suppress
from typing import Any

import psycopg
from sqlalchemy import event

from sisgate.errors import SisgateError
from sisgate.liveness.heartbeats import Heartbeats
from sisgate.redis.client import connect
from testbed.relay import Relay, cut
from testbed.scene import Scene
from testbed.troubles.trouble import Expected, Trouble, kind, of
from workers.maintenance import reconciler


class SlowRelay(Relay):
    """Passes on what comes, and lets each question take a while of a scene's time."""

    def __init__(self, scene: Scene, server: tuple[str, int], seconds: float) -> None:
        self._scene, self._server, self._seconds = scene, server, seconds
        super().__init__()

    def serve(self, client: socket.socket) -> None:
        """Pass on bytes in both directions."""
        with socket.create_connection(self._server) as server:
            threading.Thread(target=self._back, args=(server, client), daemon=True).start()
            with suppress(OSError):
                while content := client.recv(65536):
                    self._scene.clock.advance(self._seconds)
                    server.sendall(content)
            cut(server)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while content := server.recv(65536):
                client.sendall(content)
        cut(client)


@kind()
def redis_slow(at: Trouble) -> Expected:
    """Each question to Redis takes a while: its host swaps, or somebody runs KEYS on it."""
    redis = at.scene.runtime.redis
    place = redis.connection_pool.connection_kwargs
    seconds = at.scene.random.uniform(0.6, 2)
    relay = SlowRelay(at.scene, (place["host"], place["port"]), seconds)
    at.scene.at_end.callback(relay.__exit__)
    slow, context = connect(f"redis://127.0.0.1:{relay.port}/0"), at.scene.gateway.context
    at.scene.at_end.callback(slow.close)
    context.redis = at.scene.gateway._core.redis = slow
    vars(context)["heartbeats"] = Heartbeats(slow)
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("redis", "redis_slow", says="round trip")


@kind(bench_only=True)
def redis_replica(at: Trouble) -> Expected:
    """After a failover, Redis is a replica and takes no writes."""
    redis = at.scene.runtime.redis
    redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    at.scene.at_end.callback(redis.execute_command, "REPLICAOF", "NO", "ONE")
    at.load, at.works = 0, False
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("redis", "redis_refuses_writes", says="replica")


def _duties_fail(at: Trouble) -> None:
    """Let the duties of the workers fail, as they do each second."""
    at.load, at.works = 0, False

    def more() -> None:
        for _ in range(3):
            with suppress(SisgateError):
                reconciler.reconcile(at.scene.runtime)

    with suppress(SisgateError):
        at.scene.load(at.district, 2)
    more()
    redis = at.scene.runtime.redis
    now, _ = redis.time()
    redis.hset("sisgate:1:reconciles", "done_ms", (now - at.scene.random.uniform(30, 300)) * 1000)
    at.more = more
    at.subject = at.scene.random.choice(("fleet", at.district))


@kind()
def ledger_read_only(at: Trouble) -> Expected:
    """The database's file cannot be written: its disk was mounted read-only after an error."""
    engine = at.scene.runtime.database.engine

    def read_only(connection: Any, _: object) -> None:
        connection.execute("PRAGMA query_only = 1")

    at.scene.runtime.database.dispose()
    event.listen(engine, "connect", read_only)
    at.scene.at_end.callback(event.remove, engine, "connect", read_only)
    _duties_fail(at)
    return of("database", "ledger_unusable", says="readonly")


@kind(bench_only=True)
def disk_fails(at: Trouble) -> Expected:
    """The disk of the database's file fails: nothing can be written beyond its first kilobyte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    at.scene.at_end.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    _duties_fail(at)
    return of("database", "ledger_unusable", says="disk")


@kind(database="postgresql")
def standby(at: Trouble) -> Expected:
    """After a failover, the address of the database leads to one that takes no writes."""
    url = at.scene.runtime.database.engine.url
    plain = url.render_as_string(hide_password=False).replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {url.database} SET default_transaction_read_only = on")
    at.scene.at_end.callback(_writable_again, plain, str(url.database))
    at.scene.runtime.database.dispose()
    _duties_fail(at)
    return of("database", "ledger_unusable", says="standby")


def _writable_again(plain: str, name: str) -> None:
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
