"""What a worker process works with. Connections are opened after the fork, on first use."""

import os
import threading
from contextlib import AbstractContextManager, nullcontext

from celery import Celery

from sisgate.access.authorizer import Authorizer
from sisgate.access.policy import INTERNAL, broker_principal
from sisgate.admission.throttle import LatencyTrend
from sisgate.alerts.delivery import AlertDeliveries
from sisgate.alerts.judge import Judge
from sisgate.clock import Clock
from sisgate.configuration import FleetConfiguration
from sisgate.context import Context, made_once
from sisgate.credentials.tokens import TokenCache
from sisgate.credentials.usage import UsageCounter
from sisgate.gateway import Gateway
from sisgate.ledger.timings import Untold
from sisgate.logs import get_logger
from sisgate.monitoring.certificates import CertificateWatch
from sisgate.redis.client import RedisClient
from sisgate.settings import ProviderConfig, Settings
from sisgate.transport import Transport
from sisgate.webhooks.delivery import Deliveries
from sisgate.webhooks.senders import Senders
from workers.endpoints import ProviderEndpoints
from workers.spans import Spans

log = get_logger()

RUNTIME = "sisgate_runtime"
"""The attribute of the Celery app that returns the runtime of the calling process."""


class Runtime(Context):
    """The connections of one process, each opened on first use."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        *,
        script_clock: Clock | None = None,
        forks: bool = False,
        redis: RedisClient | None = None,
    ) -> None:
        super().__init__(settings, clock=clock, script_clock=script_clock, forks=forks, redis=redis)
        self.configuration.subscribe(_log_change)
        self.gate: AbstractContextManager[None] = nullcontext()
        """Held by threads beside the pool while they use the ledger, so that no fork comes between.
        """
        self.untold = Untold()
        """How long it took to record the outcomes of calls."""
        self.ledger_proven_until = 0.0
        """Until when, by the monotonic clock, the ledger need not prove that it takes writes."""
        self._local = threading.local()
        self._latencies: dict[str, LatencyTrend] = {}
        self._endpoints: dict[str, tuple[ProviderConfig, ProviderEndpoints]] = {}

    @made_once
    def gateway(self) -> Gateway:
        """The fleet's own gateway, which may do everything."""
        return Gateway.on(self, principal=INTERNAL)

    @made_once
    def broker_authorizer(self) -> Authorizer:
        """Authorizes whoever can write to the broker."""
        principal = broker_principal(self.settings.access, self.settings.broker_scopes)
        return Authorizer(self.database, self.clock, principal=principal)

    def latency_of(self, provider: str, seconds: float | None) -> LatencyTrend:
        """Return the trend of a provider's latency in this process, with `seconds` added."""
        trend = self._latencies.get(provider, LatencyTrend())
        if seconds is not None:
            trend = self._latencies[provider] = trend.seen(seconds)
        return trend

    def endpoints(self, config: ProviderConfig) -> ProviderEndpoints:
        """Return the endpoints of a provider, with their circuit breakers."""
        with self.making:
            known = self._endpoints.get(config.name)
            if known is None or known[0] is not config:
                endpoints = ProviderEndpoints(
                    self.redis, config, self.breakers(config), script_clock=self.script_clock
                )
                known = self._endpoints[config.name] = config, endpoints
        return known[1]

    @made_once
    def tokens(self) -> TokenCache:
        """The fleet's access tokens."""
        return TokenCache(self.redis, self.vault, self.clock, self.certificates.note)

    @made_once
    def certificates(self) -> CertificateWatch:
        """Notes which servers' certificates end soon."""
        return CertificateWatch(self.redis, self.clock)

    @made_once
    def spans(self) -> Spans | None:
        """Writes traces; None if they are off."""
        return Spans() if self.settings.traces == "otlp" else None

    @made_once
    def usage(self) -> UsageCounter:
        """Counts how keys are used."""
        return UsageCounter(self.redis)

    @made_once
    def deliveries(self) -> Deliveries:
        """Delivers messages of webhooks."""
        return Deliveries(self.database, lambda: self.vault, self.clock, gate=self.gate)

    @made_once
    def webhook_senders(self) -> Senders:
        """The threads that deliver messages of webhooks."""
        return Senders(self.deliveries, lambda: self.configuration.current().webhooks)

    @made_once
    def alert_judge(self) -> Judge:
        """The thread that judges the rules of alerts."""
        return Judge(
            lambda: self.gateway.alerts.evaluate(),
            self.clock,
            lambda: self.configuration.current().alerts.every,
            self.gate,
        )

    @made_once
    def alert_deliveries(self) -> AlertDeliveries:
        """Sends messages of alerts."""
        return AlertDeliveries(
            self.database, self.clock, lambda: self.configuration.current().alerts, gate=self.gate
        )

    @property
    def transport(self) -> Transport:
        """This thread's connections to providers; a requests session must not be shared."""
        if not hasattr(self._local, "transport"):
            self._local.transport = Transport(self.clock, note_certificate=self.certificates.note)
        transport: Transport = self._local.transport
        return transport


def runtime_of(app: Celery) -> Runtime:
    """Return the runtime of the calling process, by the Celery app."""
    runtime: Runtime = getattr(app, RUNTIME)()
    return runtime


def _log_change(before: FleetConfiguration, now: FleetConfiguration) -> None:
    log.info("configuration_followed", version=now.version, before=before.version)
    if now.problems:
        log.warning("configuration_not_understood", version=now.version, problems=now.problems)


class RuntimeOfProcess:
    """Gives each process its own runtime, even if a pool forks after the first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._first_pid = os.getpid()
        self._pid: int | None = None
        self._runtime: Runtime | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Runtime:
        """Return the runtime of the calling process."""
        with self._lock:
            if self._runtime is None or self._pid != os.getpid():
                # The process that imported the app forks its pool.
                forks = os.getpid() == self._first_pid
                self._runtime, self._pid = Runtime(self._settings, forks=forks), os.getpid()
            return self._runtime
