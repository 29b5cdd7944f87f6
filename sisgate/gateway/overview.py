"""The state of providers: configuration, quota, backlog, obstacles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sisgate.admission.state import LimiterState, WindowState
from sisgate.breakers.spec import State
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.breakers import EndpointStatus, read_standings
from sisgate.gateway.core import Core
from sisgate.gateway.datasets import AbsentDataset
from sisgate.gateway.liveness import Liveness, read_liveness
from sisgate.ledger.keys import active_slots
from sisgate.liveness.obstacles import Obstacle
from sisgate.redis.queues import queue_depths
from sisgate.settings import ProviderConfig


@dataclass(frozen=True)
class ProviderOverview:
    """One provider. Values from Redis are None while it is away, `key_slots` without the ledger.

    `waiting` counts messages in its queue; `key_slots` have an active key; `workers` serve it now.
    `absent` are the datasets that it does not offer, None if not requested.
    """

    config: ProviderConfig
    key_slots: Sequence[str] | None = None
    limiter: LimiterState | None = None
    waiting: int | None = None
    endpoints: Sequence[EndpointStatus] | None = None
    obstacles: Sequence[Obstacle] = ()
    absent: Sequence[AbsentDataset] | None = None
    workers: Sequence[str] | None = None

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.config.name

    @property
    def windows(self) -> Sequence[WindowState]:
        """The limits in force and their use; empty before the first count."""
        # Limits set at run time are known even before the first call.
        state = self.limiter
        return state.windows if state and (state.known or state.overridden) else ()

    @property
    def is_overridden(self) -> bool:
        """Whether its limits were set at run time."""
        return self.limiter is not None and self.limiter.overridden

    @property
    def is_held(self) -> bool:
        """Whether no endpoint's breaker is closed."""
        states = {each.breaker.state for each in self.endpoints or ()}
        return bool(states) and State.CLOSED not in states

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready, except for dataclasses."""
        config, state = self.config, self.limiter
        values: dict[str, Any] = {
            "name": config.name,
            "kind": config.kind,
            "limits": [str(rate) for rate in config.windows],
            "burst": config.burst,
            "endpoints": [{"url": e.url, "weight": e.weight} for e in config.endpoints],
            "base_path": getattr(config.dialect, "base_path", None) or None,
            "auth": config.auth_method,
            "token_url": config.token_endpoint,
            "keys": self.key_slots,
            "windows": list(self.windows),
            "overridden": self.is_overridden,
            "in_flight": state.in_flight if state else None,
            "factor": state.factor if state else None,
            "blocked_seconds": state.blocked_seconds if state else None,
            "block_reason": state.block_reason if state else None,
            "paused_until": _pause(state.paused_until) if state else None,
            "next_permit_in_seconds": state.next_permits() if state else {},
            "waiting": self.waiting,
            "pool": config.pool,
            "workers": self.workers,
            "held": self.is_held,
            "breakers": self.endpoints,
            "obstacles": list(self.obstacles),
            "known": bool(state and state.known),
            "resources": list(config.dialect_class.resources),
        }
        if self.absent is not None:
            values["absent"] = list(self.absent)
        return values


@dataclass(frozen=True)
class Overview:
    """Providers, and in `unknown` the reasons why parts of their state are missing.

    `periodic` is what keeps schedules, key rotation and other periodic tasks from being run.
    """

    providers: Sequence[ProviderOverview]
    unknown: Sequence[str]
    periodic: Sequence[Obstacle] = ()


def read_overview(core: Core, configs: Sequence[ProviderConfig]) -> Overview:
    """Return the state of providers that the caller may see."""
    unknown: list[str] = []
    slots: dict[str, list[str]] | None = None
    try:
        with core.database.read() as session:
            slots = active_slots(session)
    except DatabaseUnavailable as error:
        unknown.append(error.message)
    providers = [
        ProviderOverview(config, None if slots is None else slots.get(config.name, []))
        for config in configs
    ]
    try:
        liveness = read_liveness(core.context, [each.name for each in providers])
        return Overview(_with_redis(core, providers, liveness), unknown, liveness.periodic)
    except BrokerUnavailable:
        unknown.append("Redis cannot be reached, so quota and backlog are unknown.")
        return Overview(providers, unknown)


def _with_redis(
    core: Core, providers: Sequence[ProviderOverview], liveness: Liveness
) -> Sequence[ProviderOverview]:
    depths = queue_depths(core.redis, [each.name for each in providers])
    specs = {each.name: core.context.limits(each.config) for each in providers}
    limiters = core.limiter.states(specs)
    standings = read_standings(core, [each.config for each in providers])
    return [
        ProviderOverview(
            each.config, each.key_slots, limiters[each.name], depths[each.name],
            standings[each.name], liveness.stopping(each.name),
            workers=liveness.workers_of(each.name),
        )
        for each in providers
    ]  # fmt: skip


def _pause(until: datetime | None) -> str | None:
    if until is None:
        return None
    return "until resumed" if until == datetime.max.replace(tzinfo=UTC) else until.isoformat()
