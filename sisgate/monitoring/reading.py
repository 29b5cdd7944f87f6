"""How the fleet stands at one moment, as values. Names of providers and states only, no ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class EndpointReading:
    """One endpoint. `calls` are counted by outcome, `transitions` by the new state and why."""

    url: str
    state: str
    pinned: bool
    ejected: bool
    unwell: bool
    calls: Mapping[str, int]
    transitions: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class WindowReading:
    """One limit of a provider, such as `1000/h`, and how much of it is used."""

    rate: str
    limit: int
    used: int
    left: int


@dataclass(frozen=True)
class ProviderReading:
    """One provider. `waiting` counts messages by priority, `key_days` tells the life left by slot.

    `windows` is empty while the limiter is not known, and where there is no limit.
    """

    name: str
    endpoints: Sequence[EndpointReading]
    windows: Sequence[WindowReading]
    factor: float
    blocked_seconds: float
    paused: bool
    in_flight: int
    waiting: Mapping[str, int]
    held: bool
    jobs: Mapping[str, int]
    dead_letters: int
    lost_workers: int
    key_days: Mapping[str, float]


@dataclass(frozen=True)
class FleetReading:
    """All providers of the configuration, and what belongs to none."""

    providers: Sequence[ProviderReading]
    quarantined: int
