"""What a worker process works with. Connections are made after the fork, on first use."""

from __future__ import annotations

import os
import threading
from functools import cached_property

from celery import Celery

from sisgate.admission.limiter import Limiter
from sisgate.broker import Publisher, broker_url, redis_client
from sisgate.clock import Clock, SystemClock
from sisgate.credentials.tokens import TokenCache
from sisgate.credentials.vault import Vault, open_vault
from sisgate.gateway import Gateway
from sisgate.ledger.database import Database
from sisgate.settings import Settings
from sisgate.transport.http import Transport
from sisgate.wakeups import Wakeups


class Runtime:
    """The connections of one process, each made when it is first needed."""

    def __init__(self, app: Celery, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.publisher = Publisher(app)
        self._local = threading.local()

    @cached_property
    def database(self) -> Database:
        """The ledger."""
        return Database(self.settings.sqlalchemy_url)

    @cached_property
    def gateway(self) -> Gateway:
        """The gateway, for syncs that are asked for by name."""
        return Gateway(
            self.settings, database=self.database, publisher=self.publisher, clock=self.clock
        )

    @cached_property
    def limiter(self) -> Limiter:
        """The fleet's limiter."""
        return Limiter(self.redis, clock=self.clock)

    @cached_property
    def vault(self) -> Vault:
        """What opens the providers' keys."""
        return open_vault(self.settings.master_key_path)

    @cached_property
    def tokens(self) -> TokenCache:
        """The fleet's access tokens."""
        return TokenCache(self.redis, self.vault, self.clock)

    @cached_property
    def wakeups(self) -> Wakeups:
        """Wakes those who wait for jobs."""
        return Wakeups(self.redis, self.clock)

    @cached_property
    def redis(self):  # type: ignore[no-untyped-def]  # redis-py's client type depends on its options
        """Our own Redis client."""
        return redis_client(broker_url(self.settings))

    @property
    def transport(self) -> Transport:
        """This thread's connections to providers; a requests session is not made to be shared."""
        if not hasattr(self._local, "transport"):
            self._local.transport = Transport(self.clock)
        transport: Transport = self._local.transport
        return transport


class RuntimeOfProcess:
    """Gives each process its own runtime, also when a pool forks after the first use."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._pid: int | None = None
        self._runtime: Runtime | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Runtime:
        """Return the runtime of the calling process."""
        with self._lock:
            if self._runtime is None or self._pid != os.getpid():
                self._runtime, self._pid = Runtime(self._app, self._settings), os.getpid()
            return self._runtime
