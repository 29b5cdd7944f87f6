"""Changing the configuration of a fleet while everything dies: what is changed, what held when."""

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from sisgate.clock import SystemClock, poll_until
from sisgate.errors import SisgateError
from sisgate.gateway import Gateway

GUEST = "guest"
"""The provider that is added and removed."""

ANNOUNCED_SECONDS = 30.0

Tables = dict[str, dict[str, Any]]


@dataclass
class Lowered:
    """When a lower limit of a provider held, by the machine's monotonic clock."""

    provider: str
    limit: int
    since: float
    until: float = inf


class Changes:
    """What a fleet was told to be, change by change.

    `tables` are the providers as the fleet began; `published` reads the version that Redis knows.
    A lower limit counts from the moment that Redis knows it until the next change begins: whatever
    a worker believes, no window within may hold more.
    """

    def __init__(
        self,
        gateway: Gateway,
        published: Callable[[], bytes | str | None],
        tables: Tables,
        limited: tuple[str, ...],
        limits: tuple[int, int],
        period_seconds: float,
    ) -> None:
        self._gateway = gateway
        self._published = published
        self._limited = limited
        self._low, self._high = limits
        self._period = period_seconds
        self._clock = SystemClock()
        self._guest = copy.deepcopy(tables[GUEST])
        self.tables = {name: table for name, table in tables.items() if name != GUEST}
        self.lowered: list[Lowered] = []

    def make(self, numbers: random.Random) -> str | None:
        """Change something; return what, or None if the ledger was away."""
        kind, tables = self._drawn(numbers)
        # It may have been committed even if that could not be told.
        begun = self._clock.monotonic()
        for period in self.lowered:
            period.until = min(period.until, begun)
        try:
            applied = self._gateway.configuration.apply({"providers": tables}, actor="faults")
        except SisgateError:
            return None
        self.tables = tables
        self._await_published(applied.version.number)
        since = self._clock.monotonic()
        self.lowered += [
            Lowered(name, self._low, since) for name in self._limited if self._is_low(tables[name])
        ]
        return f"configuration: {kind}"

    def _drawn(self, numbers: random.Random) -> tuple[str, Tables]:
        tables = copy.deepcopy(self.tables)
        name = numbers.choice(self._limited)
        table = tables[name]
        match numbers.choice(("limit", "endpoint", "provider")):
            case "limit":
                is_low = self._is_low(table)
                table["limit"] = self._limit(self._high if is_low else self._low)
                return f"limit {'raised' if is_low else 'lowered'}", tables
            case "endpoint":
                return f"endpoint {_toggle_endpoint(table)}", tables
            case _:
                if tables.pop(GUEST, None) is None:
                    tables[GUEST] = copy.deepcopy(self._guest)
                    return "provider added", tables
                return "provider removed", tables

    def _await_published(self, version: int) -> None:
        def knows() -> bool:
            self._gateway.context.configuration.refresh()
            number = self._published()
            return number is not None and int(number) >= version

        if not poll_until(knows, clock=self._clock, timeout_seconds=ANNOUNCED_SECONDS):
            raise AssertionError(f"Redis was never told of version {version}")

    def _limit(self, calls: int) -> str:
        return f"{calls}/{self._period:g}s"

    def _is_low(self, table: Mapping[str, Any]) -> bool:
        return bool(table["limit"] == self._limit(self._low))


def _toggle_endpoint(table: dict[str, Any]) -> str:
    """Give a provider a second way to the same server, or take it away again."""
    first, *others = table["endpoints"]
    if others:
        table["endpoints"] = [first]
        return "removed"
    other = first["url"].replace("127.0.0.1", "localhost")
    table["endpoints"] = [first, {"url": other}]
    return "added"
