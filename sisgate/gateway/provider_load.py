"""The load of some providers: quota, backlog and when it is worked off, keys, service level."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sisgate.access.policy import Action
from sisgate.domain.priorities import Priority
from sisgate.domain.states import KeyState
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.forecast import Drains, read_drains
from sisgate.gateway.hold import Hold
from sisgate.gateway.overview import ProviderOverview, read_overview
from sisgate.gateway.sla import ServiceLevels
from sisgate.ledger.schema import Key
from sisgate.settings import ProviderConfig

SHAPE_PARTS = 24
LEVEL_SECONDS = 60.0
"""How often service levels are read, at most: rollups are by the minute."""


@dataclass(frozen=True)
class ServiceSummary:
    """How a provider has served: its latency of the last hour, and its objectives over 30 days.

    `p95_seconds` is None without a call. `budget_left` is the least of its error budgets, as a
    share; None without objectives, or if nothing is known.
    """

    p95_seconds: float | None
    budget_left: float | None


@dataclass(frozen=True)
class KeyAges:
    """The active keys of a provider: when the oldest began, and when the first ends, if known."""

    oldest_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class ProviderLoad:
    """A provider with its backlog by priority.

    `drained_at` is when it is worked off if nothing is added, None while unknown; `drains` the same
    by priority. `hold` is why no call is made now. `shape` counts the permits that come back in
    each part of the longest window, from now on. `keys` is None without one, or without the right
    to see keys, `service` while the ledger is away.
    """

    overview: ProviderOverview
    backlog: Mapping[Priority, int]
    hold: Hold | None
    drains: Drains
    shape: Sequence[int]
    keys: KeyAges | None
    service: ServiceSummary | None

    @property
    def drained_at(self) -> datetime | None:
        """When all is worked off."""
        return max(self.drains.values(), default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready, but for times."""
        windows = [each.as_dict() for each in self.overview.windows]
        return {
            "name": self.overview.name, "kind": self.overview.kind,
            "windows": windows, "hold": self.hold.reason if self.hold else None,
            "backlog": {p.word: n for p, n in self.backlog.items()},
            "drained_at": self.drained_at, "drains": {p.word: at for p, at in self.drains.items()},
            "shape": list(self.shape), "keys": asdict(self.keys) if self.keys else None,
            "service": asdict(self.service) if self.service else None,
        }  # fmt: skip


def read_loads(
    core: Core,
    configs: Sequence[ProviderConfig],
    lengths: Mapping[tuple[str, int], int],
    holds: Mapping[str, Hold],
    keys: Sequence[Key],
) -> list[ProviderLoad]:
    """Return the load of some providers. What cannot be read is missing."""
    loads = []
    for config, overview in zip(configs, read_overview(core, configs).providers, strict=True):
        name, drains, shape = overview.name, {}, ()  # type: str, Drains, Sequence[int]
        with suppress(BrokerUnavailable, DatabaseUnavailable):
            drains, shape = read_drains(
                core, config, holds.get(name), overview.obstacles, SHAPE_PARTS
            )
        loads.append(
            ProviderLoad(
                overview, {p: lengths[name, int(p)] for p in Priority}, holds.get(name), drains,
                shape, _ages(core, name, keys), _service(core, name),
            )
        )  # fmt: skip
    return loads


def _ages(core: Core, name: str, keys: Sequence[Key]) -> KeyAges | None:
    active = [e for e in keys if e.provider == name and e.state == KeyState.ACTIVE]
    if not active or not core.access.allows(Action.KEYS, name):
        return None
    ends = [each.expires_at for each in active if each.expires_at is not None]
    begun = (each.activated_at or each.created_at for each in active)
    return KeyAges(min(begun), min(ends, default=None))


def _service(core: Core, name: str) -> ServiceSummary | None:
    def read() -> ServiceSummary:
        of = ServiceLevels(core).of(name)
        p95 = of.windows["1h"].provider.quantile(0.95)
        left = of.least.budget_left if of.least else None
        return ServiceSummary(None if p95 is None else p95 / 1000, left)

    with suppress(DatabaseUnavailable):
        kept: ServiceSummary = core.context.kept_for(LEVEL_SECONDS, f"service of {name}", read)
        return kept
    return None
