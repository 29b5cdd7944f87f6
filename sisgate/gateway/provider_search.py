"""Providers by the thousand: a page of them, and the shape of one's window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sisgate.domain.validation import chosen
from sisgate.errors import BrokerUnavailable
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.core import Core
from sisgate.gateway.forecast import shape_of
from sisgate.gateway.overview import ProviderOverview, read_overview
from sisgate.redis.queues import queue_depths
from sisgate.settings import ProviderConfig

LATENCY_GUESS_SECONDS = 1.0


@dataclass(frozen=True)
class ProviderPage:
    """One page of `pages`, from 1. `count` is of all that match; `kinds` and `pools` are of all."""

    providers: Sequence[ProviderOverview]
    count: int
    page: int
    pages: int
    kinds: Sequence[str]
    pools: Sequence[str]
    unknown: Sequence[str]


_SORTS: dict[str, Callable[[ProviderConfig], Any]] = {
    "name": lambda config: config.name,
    "kind": lambda config: (config.kind, config.name),
    "pool": lambda config: (config.pool or "", config.name),
}


def find_providers(
    core: Core,
    names: Sequence[str],
    text: str,
    kind: str | None,
    pool: str | None,
    sort: str,
    page: int,
    size: int,
) -> ProviderPage:
    """Return the page of those of the names that match. A page beyond the last is the last."""
    chosen("sort", [*_SORTS, "waiting"], sort)
    known = core.configuration.current().providers
    every = [known[name] for name in names]
    words = text.lower().split()
    found = [
        config
        for config in every
        if all(word in config.name.lower() for word in words)
        and kind in {None, config.kind}
        and pool in {None, config.pool}
    ]
    pages = max(1, -(-len(found) // size))
    page = max(1, min(page, pages))
    first = (page - 1) * size
    shown = _sorted(core, found, sort)[first : first + size]
    overview = read_overview(core, shown)
    return ProviderPage(
        overview.providers, len(found), page, pages,
        sorted({each.kind for each in every}), sorted({each.pool for each in every if each.pool}),
        overview.unknown,
    )  # fmt: skip


def _sorted(core: Core, found: list[ProviderConfig], sort: str) -> list[ProviderConfig]:
    if sort != "waiting":
        return sorted(found, key=_SORTS[sort])
    try:
        depths = queue_depths(core.redis, [each.name for each in found])
    except BrokerUnavailable:  # `unknown` says so
        return sorted(found, key=_SORTS["name"])
    return sorted(found, key=lambda config: (-depths[config.name], config.name))


def window_shape(core: Core, config: ProviderConfig, parts: int) -> Sequence[int]:
    """Return how many permits come back in each part of the longest window."""
    outlook = ProviderControl(core, config).outlook(LATENCY_GUESS_SECONDS)
    return () if outlook is None else shape_of(outlook, parts)
