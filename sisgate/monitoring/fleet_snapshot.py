"""The state of the fleet at one moment. Names of providers and states only, no ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class EndpointSnapshot:
    """One endpoint. `calls` are counted by outcome, `transitions` by the new state and why."""

    url: str
    state: str
    pinned: bool
    ejected: bool
    unwell: bool
    calls: Mapping[str, int]
    transitions: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class WindowSnapshot:
    """One limit of a provider, such as `1000/h`, and how much of it is used."""

    rate: str
    limit: int
    used: int
    left: int


@dataclass(frozen=True)
class ProviderSnapshot:
    """One provider. `waiting` counts messages by priority; `key_days` is the life left by slot.

    `shared` counts the requests that the call of another one answered.
    `workers` counts those alive that serve it. `windows` is empty without a limit, and while the
    limiter's state is unknown.
    """

    name: str
    endpoints: Sequence[EndpointSnapshot]
    windows: Sequence[WindowSnapshot]
    factor: float
    blocked_seconds: float
    paused: bool
    in_flight: int
    waiting: Mapping[str, int]
    held: bool
    jobs: Mapping[str, int]
    dead_letters: int
    lost_workers: int
    shared: int
    key_days: Mapping[str, float]
    workers: int


@dataclass(frozen=True)
class FleetSnapshot:
    """All configured providers, and what belongs to none.

    `alive` counts processes by kind: `worker`, `planner`, `beat`. `obstacles` are the causes of
    what blocks jobs, with the provider or None for all. `reconciled_seconds` is how long ago the
    last reconcile was, None for never. `clock_offsets` are by host, in seconds ahead of Redis.
    """

    providers: Sequence[ProviderSnapshot]
    quarantined: int
    alive: Mapping[str, int]
    obstacles: Sequence[tuple[str, str | None]]
    reconciled_seconds: float | None
    clock_offsets: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        snapshot = asdict(self)
        for provider in snapshot["providers"]:
            for endpoint in provider["endpoints"]:
                endpoint["transitions"] = [
                    {"state": state, "reason": reason, "count": count}
                    for (state, reason), count in endpoint["transitions"].items()
                ]
        return snapshot
