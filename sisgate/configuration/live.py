"""The configuration as one process sees it: the ledger's newest version, followed within a second.

The number of the newest version is in Redis, so that looking for a newer one costs a single GET
twice a second. The ledger decides: it is asked when Redis knows another number or none, or is away,
and now and then in any case, since whoever applied a version may have died before publishing it.
"""

import threading
from collections.abc import Callable
from typing import Any

from sisgate.clock import Clock
from sisgate.configuration.fleet_configuration import FleetConfiguration, KnownProviders
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.ledger import configuration as ledger
from sisgate.ledger.database import Database
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import CONFIGURATION
from sisgate.redis.scripts import run_script
from sisgate.settings.fleet import FleetSettings

LOOK_SECONDS = 0.5
"""How old the last look at the published number may be."""

LEDGER_SECONDS = 1.0
"""How often at most the ledger is asked while Redis does not answer, or knows no number."""

CHECK_SECONDS = 5.0
"""How often the ledger is asked although Redis answers. After an outage of Redis, how soon it is
tried again at the latest."""


class LiveConfiguration:
    """A process's view of the configuration. Safe to share between threads.

    `own` is what the process was started with: version 0, in force until the ledger has a version,
    and while it was never reached. With `forks`, no connection to the ledger is kept: the process
    will fork.
    """

    def __init__(
        self,
        own: FleetSettings,
        *,
        redis: RedisClient,
        database: Database,
        clock: Clock,
        forks: bool = False,
    ) -> None:
        self._redis = redis
        self._database = database
        self._clock = clock
        self._forks = forks
        self._own, self._own_tables = FleetConfiguration.of(own), own.provider_tables
        self._identity = ledger.NO_VERSION
        self._followed: tuple[FleetConfiguration, dict[str, Any]] = self._own, {}
        """The configuration in force and its document, in one: threads read it without a lock."""
        self._look_at = self._ask_redis_at = self._asked_ledger_at = float("-inf")
        self._redis_pause = LEDGER_SECONDS
        self._followers: list[Callable[[FleetConfiguration, FleetConfiguration], None]] = []
        self._looking = threading.Lock()

    def current(self) -> FleetConfiguration:
        """Return the configuration in force, at most half a second old. Raises nothing.

        Where neither Redis nor the ledger can be reached, it is the last one known.
        """
        if self._clock.monotonic() < self._look_at:
            return self._current
        # One thread looks; the others go on with what is known, unless nothing was looked at yet.
        if self._looking.acquire(blocking=self._look_at == float("-inf")):
            try:
                if self._clock.monotonic() >= self._look_at:
                    self._look()
                    self._look_at = self._clock.monotonic() + LOOK_SECONDS
            finally:
                self._looking.release()
        return self._current

    @property
    def _current(self) -> FleetConfiguration:
        return self._followed[0]

    @property
    def document(self) -> dict[str, Any]:
        """The document of the version in force; empty for version 0."""
        return self._followed[1]

    @property
    def known(self) -> KnownProviders:
        """The providers in force and their tables, so that unchanged ones are not read again."""
        current, document = self._followed
        tables = document.get("providers") if current.version else self._own_tables
        return KnownProviders(current.providers, tables)

    def subscribe(self, follower: Callable[[FleetConfiguration, FleetConfiguration], None]) -> None:
        """Call `follower` with the old and the new configuration at each change, in some thread.

        It must not ask for the configuration, nor take long.
        """
        self._followers.append(follower)

    def refresh(self) -> FleetConfiguration:
        """Look at once, in Redis and in the ledger, and return the configuration in force."""
        with self._looking:
            self._ask_redis_at = self._asked_ledger_at = float("-inf")
            self._look()
            self._look_at = self._clock.monotonic() + LOOK_SECONDS
        return self._current

    def _look(self) -> None:
        now = self._clock.monotonic()
        published, version = self._published(now), self._current.version
        if published is None or published <= version:
            since = CHECK_SECONDS if published == version else LEDGER_SECONDS
            if now < self._asked_ledger_at + since:
                return
        self._asked_ledger_at = now
        newest = self._follow_ledger()
        if newest is not None and newest != published:
            self._publish(published, newest)

    def _published(self, now: float) -> int | None:
        """Return the published number; None if there is none, or Redis is away."""
        if now < self._ask_redis_at:
            return None
        try:
            number = self._redis.get(CONFIGURATION())
        except BrokerUnavailable:
            # A Redis that hangs costs its timeout each time, so it is asked less and less often.
            self._ask_redis_at = self._clock.monotonic() + self._redis_pause
            self._redis_pause = min(2 * self._redis_pause, CHECK_SECONDS)
            return None
        self._redis_pause = LEDGER_SECONDS
        return int(number) if number is not None and number.isdigit() else None

    def _follow_ledger(self) -> int | None:
        """Use the ledger's newest version; return its number, None if the ledger is away."""
        current = self._current
        try:
            identity, document = ledger.read_newest(self._database, self._identity)
        except DatabaseUnavailable:
            return None
        finally:
            if self._forks:
                self._database.dispose()
        number, _ = identity
        if identity == self._identity:
            return number
        if document is None:
            self._followed = self._own, {}
        else:
            newest = FleetConfiguration.read(number, document, known=self.known)
            self._followed = newest, document
        self._identity = identity
        for follower in self._followers:
            follower(current, self._current)
        return number

    def _publish(self, published: int | None, newest: int) -> None:
        """Publish the ledger's number where Redis knows none, or another one.

        That may be newer: a ledger can be restored from a backup.
        """
        try:
            if published is None:
                self._redis.set(CONFIGURATION(), newest, nx=True)
            else:
                run_script(
                    self._redis, "configuration/replace", [CONFIGURATION()], [published, newest]
                )
        except BrokerUnavailable:
            return  # the next look tries again


def publish(redis: RedisClient, version: int) -> None:
    """Tell every process of a version, unless a newer one is known. Raises `BrokerUnavailable`.

    Of two that are applied one after the other, the first may be published last.
    """
    run_script(redis, "configuration/publish", [CONFIGURATION()], [version])
