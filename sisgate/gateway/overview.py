"""The state of providers: configuration, quota, backlog, obstacles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from sisgate.admission.state import LimiterState, WindowState
from sisgate.breakers.spec import State
from sisgate.domain.rates import Rate
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

    `limits` are as configured, none for no limit; `weights` those of its endpoints by URL.
    `waiting` counts messages in its queue; `key_slots` have an active key, which it refuses in
    `refused_slots`; `workers` serve it now.
    `absent` are the datasets that it does not offer, None if not requested.
    """

    name: str
    kind: str
    limits: Sequence[Rate]
    burst: int | None
    weights: Mapping[str, float]
    base_path: str | None
    auth: str
    token_url: str | None
    pool: str | None
    resources: Sequence[str]
    key_slots: Sequence[str] | None = None
    limiter: LimiterState | None = None
    waiting: int | None = None
    endpoints: Sequence[EndpointStatus] | None = None
    obstacles: Sequence[Obstacle] = ()
    absent: Sequence[AbsentDataset] | None = None
    workers: Sequence[str] | None = None
    refused_slots: Sequence[str] = ()

    @classmethod
    def of(cls, config: ProviderConfig, slots: Mapping[str, bool] | None) -> Self:
        """Return what the configuration says, and nothing yet of what Redis knows."""
        return cls(
            config.name, config.kind, config.windows, config.burst,
            {each.url: each.weight for each in config.endpoints},
            getattr(config.dialect, "base_path", None) or None, config.auth_method,
            config.token_endpoint, config.pool, tuple(config.dialect_class.resources),
            None if slots is None else list(slots),
            refused_slots=[slot for slot, is_refused in (slots or {}).items() if is_refused],
        )  # fmt: skip

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
    def is_refused(self) -> bool:
        """Whether the provider refuses each of its keys, so that calls fail."""
        return bool(self.key_slots) and set(self.key_slots or ()) == set(self.refused_slots)

    @property
    def is_held(self) -> bool:
        """Whether no endpoint's breaker is closed."""
        states = {each.breaker.state for each in self.endpoints or ()}
        return bool(states) and State.CLOSED not in states

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready, except for dataclasses."""
        values: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "limits": [str(rate) for rate in self.limits],
            "burst": self.burst,
            "endpoints": [{"url": url, "weight": w} for url, w in self.weights.items()],
            "base_path": self.base_path,
            "auth": self.auth,
            "token_url": self.token_url,
            "keys": self.key_slots,
            "keys_refused": list(self.refused_slots),
            **limiter_values(self.limiter),
            "windows": list(self.windows),
            "waiting": self.waiting,
            "pool": self.pool,
            "workers": self.workers,
            "held": self.is_held,
            "breakers": self.endpoints,
            "obstacles": list(self.obstacles),
            "resources": list(self.resources),
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
    slots: dict[str, dict[str, bool]] | None = None
    try:
        with core.database.read() as session:
            slots = active_slots(session)
    except DatabaseUnavailable as error:
        unknown.append(error.message)
    providers = [
        ProviderOverview.of(config, None if slots is None else slots.get(config.name, {}))
        for config in configs
    ]
    try:
        liveness = read_liveness(core.context, [each.name for each in providers])
        known = _with_redis(core, providers, configs, liveness)
        return Overview(known, unknown, liveness.periodic)
    except BrokerUnavailable:
        unknown.append("Redis cannot be reached, so quota and backlog are unknown.")
        return Overview(providers, unknown)


def _with_redis(
    core: Core,
    providers: Sequence[ProviderOverview],
    configs: Sequence[ProviderConfig],
    liveness: Liveness,
) -> Sequence[ProviderOverview]:
    depths = queue_depths(core.redis, [each.name for each in providers])
    specs = {each.name: core.context.limits(each) for each in configs}
    limiters = core.limiter.states(specs)
    standings = read_standings(core, configs)
    return [
        replace(
            each, limiter=limiters[each.name], waiting=depths[each.name],
            endpoints=standings[each.name], obstacles=liveness.stopping(each.name),
            workers=liveness.workers_of(each.name),
        )
        for each in providers
    ]  # fmt: skip


def limiter_values(state: LimiterState | None) -> dict[str, Any]:
    """Return what a limiter knows, JSON-ready except for windows; None where nothing is known."""
    return {
        "known": bool(state and state.known),
        "windows": list(state.windows) if state else [],
        "overridden": bool(state and state.overridden),
        "in_flight": state.in_flight if state else None,
        "factor": state.factor if state else None,
        "blocked_seconds": state.blocked_seconds if state else None,
        "block_reason": state.block_reason if state else None,
        "paused_until": _pause(state.paused_until) if state else None,
        "next_permit_in_seconds": state.next_permits() if state else {},
        "waiting_for": {p.word: why for p, why in state.waiting_for.items()} if state else {},
    }


def _pause(until: datetime | None) -> str | None:
    if until is None:
        return None
    return "until resumed" if until == datetime.max.replace(tzinfo=UTC) else until.isoformat()
