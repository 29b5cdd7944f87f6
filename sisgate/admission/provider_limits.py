"""The limits of a provider as its configuration gives them."""

from __future__ import annotations

from sisgate.admission.schedule import ConcurrencySchedule, ConcurrencyWindow
from sisgate.admission.spec import LimitSpec
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


def _schedule(config: ProviderConfig) -> ConcurrencySchedule | None:
    hours = config.school_hours
    if hours is None:
        return None
    window = ConcurrencyWindow(hours.start, hours.end, hours.max_concurrency, hours.days)
    return ConcurrencySchedule(hours.zone, (window,))
