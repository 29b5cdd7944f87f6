"""The composition root: what a process works with, built once from its settings.

Apps, workers and the command line all build on a `Context`. Create it after the fork: it holds
connections, each opened on first use.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import LimitSpec
from sisgate.audit.keys import AuditKey, KeyRing, read_audit_keys
from sisgate.audit.writers import Writers
from sisgate.breakers.fleet import FleetBreakers
from sisgate.breakers.spec import BreakerSpec
from sisgate.broker import Publisher
from sisgate.clock import Clock, ReferenceClock
from sisgate.configuration import FleetConfiguration, LiveConfiguration
from sisgate.configuration.parts import digests_of_parts
from sisgate.credentials.master import MasterKey, master_keys
from sisgate.credentials.vault import Vault
from sisgate.embedded.redis_conf import broker_url, uses_embedded_redis
from sisgate.errors import SisgateError
from sisgate.ledger.database import Database
from sisgate.ledger.engine import is_sqlite, read_clock
from sisgate.ledger.grouped import GroupedWrites
from sisgate.liveness.heartbeats import Heartbeats
from sisgate.redis.client import RedisClient, connect
from sisgate.settings import ProviderConfig, Settings
from sisgate.wakeups import Wakeups

T = TypeVar("T")


class made_once(Generic[T]):  # noqa: N801 - a decorator
    """A property of a `Context`, created on first use and once for all threads.

    From Python 3.12 on, `functools.cached_property` may run once in each thread.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, context: Context | None, _owner: type) -> T:
        if context is None:
            return self  # type: ignore[return-value]  # accessed on the class
        with context.making:
            values = vars(context)
            if self._name not in values:
                values[self._name] = self._make(context)
            value: T = values[self._name]
        return value


def connect_fleet(settings: Settings) -> RedisClient:
    """Return a client of the fleet's Redis, also of an embedded one that has yet to start."""
    if uses_embedded_redis(settings):
        return connect(lambda: broker_url(settings))
    return connect(broker_url(settings))


def fleet_clock(settings: Settings) -> ReferenceClock:
    """Return the clock that all hosts of a fleet share: the database's, or with SQLite Redis's.

    Processes with a SQLite ledger share one machine, yet use the clock of Redis too, so that they
    agree even if it is wrong. Nothing is connected before the time is first read.
    """
    client: RedisClient | None = None

    def read() -> datetime | None:
        nonlocal client
        try:
            if not is_sqlite(settings.sqlalchemy_url):
                return read_clock(settings.sqlalchemy_url)
            client = client or connect_fleet(settings)
            seconds, micros = client.time()
        except (SisgateError, OSError, ValueError):
            return None
        return datetime.fromtimestamp(seconds + micros / 1e6, UTC)

    return ReferenceClock(read)


class Context:
    """Settings, clock, ledger, Redis and what is stored there. Safe to share between threads.

    `settings` are what this process started with; what the fleet shares (providers, apps,
    schedules, retention) is in `configuration`. With `forks`, the process will fork.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        database: Database | None = None,
        script_clock: Clock | None = None,
        forks: bool = False,
        redis: RedisClient | None = None,
    ) -> None:
        self.settings = settings
        self.script_clock = script_clock
        """Replaces the time of Redis in tests."""
        self.clock = clock or fleet_clock(settings)
        # The ledger of the data folder is created by `sisgate up` and `sisgate db upgrade`.
        self.database = database or _ledger(settings)
        if self.database.commit_hook is None:
            self.database.commit_hook = Writers(lambda: self.audit_keys, self.clock)
            self.database.show_time(self.clock)
        # Any: what a command returns depends on options that redis-py's types do not follow.
        self.redis: Any = redis or connect_fleet(settings)
        # A connection that must not be open at a fork is not one that other threads work with.
        of_configuration = _ledger(settings) if forks else self.database
        self.configuration = LiveConfiguration(
            settings, redis=self.redis, database=of_configuration, clock=self.clock, forks=forks
        )
        self.grouped = GroupedWrites(self.database)
        self.wakeups = Wakeups(self.redis, self.clock, self.database)
        self.limiter = Limiter(self.redis, clock=self.clock, script_clock=script_clock)
        self.making = threading.RLock()
        """Held while a property is created; one may need another."""
        self._limits: dict[str, tuple[ProviderConfig, LimitSpec]] = {}
        self._kept: dict[str, tuple[float, object, Any]] = {}
        self._parts: tuple[FleetConfiguration, Mapping[str, str]] | None = None

    def close(self) -> None:
        """Close all connections."""
        self.wakeups.close()
        self.database.dispose()
        self.redis.close()

    def limits(self, config: ProviderConfig) -> LimitSpec:
        """Return the limits of a provider."""
        known = self._limits.get(config.name)
        if known is None or known[0] is not config:
            known = self._limits[config.name] = config, LimitSpec.of(config)
        return known[1]

    def parts_of(self, fleet: FleetConfiguration) -> Mapping[str, str]:
        """Return the digests of the parts of a configuration, made once for each."""
        known = self._parts
        if known is None or known[0] is not fleet:
            known = self._parts = fleet, digests_of_parts(self.settings, fleet)
        return known[1]

    def kept_for(self, seconds: float, name: str, read: Callable[[], T], *, of: object = None) -> T:
        """Return what `read` returned, at most so long ago: what costs more than it changes.

        And only while `of`, what it was read from, is the same.
        """
        known, now = self._kept.get(name), self.clock.monotonic()
        if known is None or known[1] != of or now - known[0] >= seconds:
            known = self._kept[name] = now, of, read()
        value: T = known[2]
        return value

    def breakers(self, config: ProviderConfig) -> FleetBreakers:
        """Return the circuit breakers of a provider, shared by the fleet."""
        urls = [endpoint.url for endpoint in config.endpoints]
        return FleetBreakers(
            self.redis, config.name, urls, BreakerSpec.of(config), script_clock=self.script_clock
        )

    @made_once
    def master_keys(self) -> list[MasterKey]:
        """The master keys as of the first use: `master_key_command` runs once."""
        return master_keys(self.settings)

    @made_once
    def vault(self) -> Vault:
        """Seals and opens secrets. `CredentialError` without a master key."""
        return Vault(self.master_keys)

    @made_once
    def audit_keys(self) -> KeyRing:
        """The keys that authenticate and seal the audit log; raises as `audit_keys`."""
        return _audit_keys(self.settings, lambda: self.master_keys)

    @made_once
    def publisher(self) -> Publisher:
        """Publishes ids to the broker."""
        return Publisher(
            self.redis, lambda: self.configuration.current().providers, self.wakeups.signal_work
        )

    @made_once
    def heartbeats(self) -> Heartbeats:
        """Which processes are alive."""
        return Heartbeats(self.redis)


def _ledger(settings: Settings) -> Database:
    return Database(settings.sqlalchemy_url, must_exist=settings.is_embedded_database)


def open_ledger(settings: Settings, clock: Clock) -> Database:
    """Return the ledger. The audit keys are read at the first event, then cached."""
    return with_audit_log(Database(settings.sqlalchemy_url), settings, clock)


def with_audit_log(database: Database, settings: Settings, clock: Clock) -> Database:
    """Return the database ready to write audit events and to set the clock."""
    if database.commit_hook is None:
        database.show_time(clock)
        database.commit_hook = Writers(lambda: audit_keys(settings), clock)
    return database


def audit_keys(settings: Settings) -> KeyRing:
    """Return the audit keys: those of `audit_key_file`, else one for each master key.

    Raises `CredentialError` if neither can be read.
    """
    return _audit_keys(settings, lambda: master_keys(settings))


def _audit_keys(settings: Settings, masters: Callable[[], Sequence[MasterKey]]) -> KeyRing:
    if settings.audit_key_file is not None:
        return read_audit_keys(settings.audit_key_file)
    return KeyRing([AuditKey.of_master(master.material) for master in masters()])
