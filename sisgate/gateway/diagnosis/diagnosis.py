"""The checks of `sisgate doctor`, in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from sisgate.access.policy import Action
from sisgate.credentials.vault import Vault
from sisgate.errors import SisgateError
from sisgate.gateway.core import Core
from sisgate.gateway.diagnosis import fleet, providers, servers
from sisgate.gateway.diagnosis.result import DiagnosticResult, kept
from sisgate.gateway.hold import Hold
from sisgate.gateway.orders import NewRequest
from sisgate.gateway.requests import Requests
from sisgate.settings import ProviderConfig
from sisgate.start_up import require_extras

if TYPE_CHECKING:
    from sisgate.transport import Transport

PROBE_SECONDS = 15.0


class Diagnosis:
    """Checks configuration, ledger, Redis, processes, keys and endpoints."""

    def __init__(self, core: Core, requests: Requests) -> None:
        self._core = core
        self._requests = requests

    def run(
        self, provider: str | None = None, *, probe: bool = False
    ) -> Iterator[DiagnosticResult]:
        """Yield the results one by one, because a provider may take seconds to respond.

        Asks all providers, or only one; of thousands, as many as a minute allows. With `probe`,
        makes one call to each provider, at the cost of a permit, for who may `request`. A check
        that fails is a result, too; raises only `AccessDenied`, `UnknownProvider`, and
        `ConfigurationError` without the extra `worker`.
        """
        core = self._core
        core.require_unless_local(Action.CONTROL)
        if probe:
            core.require_unless_local(Action.REQUEST)
        require_extras("A diagnosis", "worker")
        only = None if provider is None else core.provider(provider)
        yield servers.configuration(core)
        yield servers.data_folder(core)
        has_ledger = has_redis = False
        for result in servers.ledger(core):
            yield result
            has_ledger = result.grade != "fail"
        for result in servers.redis_server(core, accepts=has_ledger):
            yield result
            has_redis = has_redis or (result.subject == "redis" and result.grade != "fail")
        if has_redis:
            if has_ledger:
                yield from kept("processes", fleet.processes(core))
            yield from fleet.quarantine(core)
            yield from fleet.audit_heads(core)
        if has_ledger:
            yield from kept("webhooks", fleet.failing_webhooks(core))
            yield from kept("alert channels", fleet.failing_channels(core))
        vault, result = servers.master_key(core, has_ledger=has_ledger)
        yield result
        if vault is None or not has_ledger:
            return
        known = core.configuration.current().providers.values()
        asked = list(known) if only is None else [only]
        is_probed = probe and has_redis
        # It needs the HTTP client, which apps that only enqueue lack.
        from sisgate.transport import Transport

        # One for each thread: to read the authorities that it trusts takes longer than to connect.
        of_thread = threading.local()
        with ExitStack() as opened:

            def check(config: ProviderConfig, hold: Hold | None) -> Iterator[DiagnosticResult]:
                if not hasattr(of_thread, "transport"):
                    of_thread.transport = opened.enter_context(closing(Transport(core.clock)))
                transport = of_thread.transport
                return self._provider(config, hold, vault, transport, probe=is_probed)

            yield from providers.ask_each(core, asked, check)

    def _provider(
        self,
        config: ProviderConfig,
        hold: Hold | None,
        vault: Vault,
        transport: Transport,
        *,
        probe: bool,
    ) -> Iterator[DiagnosticResult]:
        from sisgate.gateway.diagnosis import provider

        works = config.auth_method == "none"
        if not works:
            for result in provider.keys(self._core, config, vault):
                yield result
                works = works or result.grade == "ok"
            yield from provider.expiring_keys(self._core, config)
        # Without a token, too: whether an outage keeps it from us shows here.
        yield from provider.endpoints(config, transport, self._core.clock.now(), works=works)
        yield from provider.held(config, hold)
        if works and probe:
            yield self._probe(config)

    def _probe(self, config: ProviderConfig) -> DiagnosticResult:
        subject, request = f"{config.name} call", config.dialect.probe_request()
        try:
            new = NewRequest(
                config.name, request.method, request.path, query=dict(request.query),
                json=request.json_body, timeout=PROBE_SECONDS,
            )  # fmt: skip
            answer = self._requests.answered(self._requests.wanted(new), PROBE_SECONDS, None)
        except SisgateError as error:
            remedy = "See `sisgate providers` for what holds it up."
            return DiagnosticResult(subject, "fail", error.message, remedy)
        what = f"{request.method} {request.path} answered {answer.status}"
        if answer.ok:
            return DiagnosticResult(subject, "ok", what)
        remedy = "Ask the provider which resources this key may read, and check url and base_path."
        if config.auth_method == "oauth1":
            remedy += f" Or set another oauth1_signature than {config.oauth1_signature}."
        return DiagnosticResult(subject, "fail", what, remedy)
