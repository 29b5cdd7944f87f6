"""Checks of all providers: several at once, for a bounded time, the most suspicious ones first."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from sisgate.domain.alert_states import LIVE_ALERT_STATES
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.availability import holds_of
from sisgate.gateway.core import Core
from sisgate.gateway.diagnosis.result import DiagnosticResult, kept
from sisgate.gateway.hold import Hold
from sisgate.ledger import alerts, datasets
from sisgate.redis.queues import queue_depths
from sisgate.settings import ProviderConfig

THREADS = 16
"""Providers that are asked at a time."""

SECONDS = 60.0
"""For how long further providers are asked."""

MOST_ALERTS = 1_000

Check = Callable[[ProviderConfig, Hold | None], Iterator[DiagnosticResult]]
"""Asks one provider; given what holds its calls."""


def ask_each(
    core: Core, configs: Sequence[ProviderConfig], check: Check
) -> Iterator[DiagnosticResult]:
    """Yield the results of each provider together, and at the end how many were not asked."""
    holds: Mapping[str, Hold] = {}
    with suppress(BrokerUnavailable):  # another check reports it
        holds = holds_of(core.context, configs)
    signs = _signs(core, holds, [each.name for each in configs])
    in_order = sorted(configs, key=lambda config: [config.name not in each for each in signs])
    ends_at = core.clock.monotonic() + SECONDS

    def ask(config: ProviderConfig) -> list[DiagnosticResult] | None:
        if core.clock.monotonic() >= ends_at:
            return None
        return list(kept(config.name, check(config, holds.get(config.name))))

    left = 0
    pool = ThreadPoolExecutor(THREADS, "sisgate-doctor")
    try:
        for asked in [pool.submit(ask, config) for config in in_order]:
            results = asked.result()
            left += results is None
            yield from results or ()
    finally:
        pool.shutdown(cancel_futures=True)
    if left:
        yield DiagnosticResult(
            "providers", "warn",
            f"{left:,} of {len(configs):,} were not asked within {SECONDS:g} s; those with alerts, "
            "holds, failed syncs or waiting work came first",
            "`sisgate doctor PROVIDER` asks one.",
        )  # fmt: skip


def _signs(core: Core, holds: Mapping[str, Hold], names: Sequence[str]) -> list[Collection[str]]:
    """Return the providers with signs of trouble, by sign, and those with work; the worst first."""
    alerting: set[str] = set()
    failed: Collection[str] = ()
    # Each provider that cannot be asked says so itself.
    with suppress(DatabaseUnavailable), core.database.read() as session:
        rows = alerts.find(
            session, states=LIVE_ALERT_STATES, provider=None, among=None, app=None,
            limit=MOST_ALERTS,
        )  # fmt: skip
        alerting = {row.provider for row in rows if row.provider is not None}
        failed = datasets.with_failed_syncs(session, core.clock.now())
    working: set[str] = set()
    with suppress(BrokerUnavailable):
        working = {name for name, depth in queue_depths(core.redis, names).items() if depth}
    return [alerting, holds.keys(), failed, working]
