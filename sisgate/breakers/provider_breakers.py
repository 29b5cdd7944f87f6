"""The breakers of a provider as its configuration gives them."""

from __future__ import annotations

from sisgate.breakers.spec import BreakerSpec
from sisgate.settings import ProviderConfig


def breakers_of(config: ProviderConfig, lease_seconds: float) -> BreakerSpec:
    """Return the breakers' specification; a call, and so a probe, has ended within its lease."""
    return BreakerSpec(probe_lease_seconds=lease_seconds, **config.breaker.model_dump())
