"""The limits of a provider as its configuration gives them."""

from __future__ import annotations

from datetime import datetime, timedelta

from sisgate.admission.schedule import ConcurrencySchedule, ConcurrencyWindow
from sisgate.admission.spec import LedgerCall, LimitSpec
from sisgate.settings import ProviderConfig


def limits_of(config: ProviderConfig, lease_seconds: float) -> LimitSpec:
    """Return the limiter's specification; `off` where the provider has no limit."""
    return LimitSpec(
        windows=config.windows,
        burst=config.burst,
        min_interval_seconds=config.min_interval_seconds,
        max_concurrency=config.max_concurrency or config.dialect_class.default_concurrency,
        lease_seconds=lease_seconds,
        arrival_bound_seconds=config.arrival_bound_seconds,
        schedule=_schedule(config),
    )


def checks_since(config: ProviderConfig, since: datetime, now: datetime) -> list[LedgerCall]:
    """Return the counted health checks that may have been made since then, for a rebuild.

    The ledger does not know them. An endpoint is checked once an interval at most, so the n-th
    latest check was made at least n intervals ago; each is taken to be as late as it can have been.
    """
    health = config.health
    if health is None or not health.counts:
        return []
    every, longest = timedelta(seconds=health.interval_seconds), health.timeout_seconds
    starts = [now - every * n for n in range(int((now - since) / every) + 1)]
    return [
        LedgerCall(at, min(now, at + timedelta(seconds=longest)), at + timedelta(seconds=longest))
        for at in reversed(starts)
        for _ in config.endpoints
    ]


def _schedule(config: ProviderConfig) -> ConcurrencySchedule | None:
    hours = config.school_hours
    if hours is None:
        return None
    window = ConcurrencyWindow(hours.start, hours.end, hours.max_concurrency, hours.days)
    return ConcurrencySchedule(hours.zone, (window,))
