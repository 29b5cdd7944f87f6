"""What a worker process works with. Connections are made after the fork, on first use."""

from __future__ import annotations

import os
import threading
from functools import cached_property

from celery import Celery

from sisgate.access.gate import Gate
from sisgate.access.policy import INTERNAL, broker_principal
from sisgate.admission.limiter import Limiter
from sisgate.admission.provider_limits import limits_of
from sisgate.admission.spec import LimitSpec
from sisgate.admission.throttle import LatencyTrend
from sisgate.audit.keys import KeyRing
from sisgate.broker import Publisher, broker_url, redis_client
from sisgate.clock import Clock, SystemClock
from sisgate.credentials.tokens import TokenCache
from sisgate.credentials.usage import UsageCounter
from sisgate.credentials.vault import Vault, vault_of
from sisgate.gateway import Gateway
from sisgate.gateway.ledger import audit_keys, open_ledger
from sisgate.ledger.database import Database
from sisgate.liveness.heartbeats import Heartbeats
from sisgate.settings import ProviderConfig, Settings
from sisgate.transport.http import Transport
from sisgate.wakeups import Wakeups
from workers.endpoints import ProviderEndpoints
from workers.transitions import TransitionLog

RUNTIME = "sisgate_runtime"
"""The attribute of the Celery app that gives the runtime of the calling process."""


class Runtime:
    """The connections of one process, each made when it is first needed.

    `script_clock` stands in for the time of Redis, for tests that move time.
    """

    def __init__(
        self,
        app: Celery,
        settings: Settings,
        clock: Clock | None = None,
        *,
        script_clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self._script_clock = script_clock
        self._app = app
        self._local = threading.local()
        self._limits: dict[str, LimitSpec] = {}
        self._latencies: dict[str, LatencyTrend] = {}
        self._endpoints: dict[str, ProviderEndpoints] = {}

    @cached_property
    def database(self) -> Database:
        """The ledger."""
        return open_ledger(self.settings, self.clock)

    @cached_property
    def audit_keys(self) -> KeyRing:
        """What seals the audit log."""
        return audit_keys(self.settings)

    @cached_property
    def publisher(self) -> Publisher:
        """Hands ids to the broker."""
        return Publisher(self._app, self.wakeups.signal_work)

    @cached_property
    def gateway(self) -> Gateway:
        """The gateway of the fleet itself, which may do everything."""
        return Gateway(
            self.settings,
            database=self.database,
            publisher=self.publisher,
            clock=self.clock,
            principal=INTERNAL,
        )

    @cached_property
    def broker_gate(self) -> Gate:
        """What may be asked for by whoever can write to the broker."""
        principal = broker_principal(self.settings.access, self.settings.broker_scopes)
        return Gate(self.database, self.clock, principal=principal)

    @cached_property
    def limiter(self) -> Limiter:
        """The fleet's limiter."""
        return Limiter(self.redis, clock=self.clock, script_clock=self._script_clock)

    def limits(self, config: ProviderConfig) -> LimitSpec:
        """Return the limits of a provider; a permit that is never finished counts for a lease."""
        spec = self._limits.get(config.name)
        if spec is None:
            lease = config.lease
            spec = self._limits[config.name] = limits_of(config, lease)
        return spec

    def latency_of(self, provider: str, seconds: float | None) -> LatencyTrend:
        """Return the trend of a provider's latency as this process has seen it, one more added."""
        trend = self._latencies.get(provider, LatencyTrend())
        if seconds is not None:
            trend = self._latencies[provider] = trend.seen(seconds)
        return trend

    def endpoints(self, config: ProviderConfig) -> ProviderEndpoints:
        """Return the endpoints of a provider, with their circuit breakers."""
        endpoints = self._endpoints.get(config.name)
        if endpoints is None:
            endpoints = self._endpoints[config.name] = ProviderEndpoints(
                self.redis,
                config,
                lease_seconds=config.lease,
                listeners=[TransitionLog(config.name)],
                script_clock=self._script_clock,
            )
        return endpoints

    @cached_property
    def vault(self) -> Vault:
        """What opens the providers' keys."""
        return vault_of(self.settings)

    @cached_property
    def tokens(self) -> TokenCache:
        """The fleet's access tokens."""
        return TokenCache(self.redis, self.vault, self.clock)

    @cached_property
    def usage(self) -> UsageCounter:
        """Counts how keys are used."""
        return UsageCounter(self.redis)

    @cached_property
    def wakeups(self) -> Wakeups:
        """Wakes those who wait for jobs."""
        return Wakeups(self.redis, self.clock)

    @cached_property
    def heartbeats(self) -> Heartbeats:
        """Which processes are alive."""
        return Heartbeats(self.redis)

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
