"""Service levels over HTTP, as the service shows them: latencies as quantiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sisgate.client.connection import Connection
from sisgate.client.paths import sla_path
from sisgate.client.values import Json, value_of
from sisgate.domain.call_results import CallResult
from sisgate.domain.school_time import Span
from sisgate.domain.service_levels import Measurement


@dataclass(frozen=True)
class ServiceLevelState:
    """How a provider has served within a span of time; as `ServiceLevel`.

    `values` are those of its `as_dict()`, with the quantiles of the latencies.
    """

    name: str
    since: datetime
    until: datetime
    calls: int
    results: Mapping[CallResult, int]
    down: Sequence[Span]
    down_seconds: float
    is_met: bool | None
    measurements: Sequence[Measurement]
    values: Json

    def as_dict(self) -> dict[str, Any]:
        """Return the values, JSON-ready."""
        return dict(self.values)


@dataclass(frozen=True)
class ProviderSlaState:
    """The service levels of one provider by window, and whether it has objectives."""

    name: str
    has_objectives: bool
    windows: Mapping[str, ServiceLevelState]

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "provider": self.name,
            "has_objectives": self.has_objectives,
            "windows": {name: level.as_dict() for name, level in self.windows.items()},
        }


@dataclass(frozen=True)
class MonthState:
    """A month's report, in all and by the day; as `Report`. `values` are those of `as_dict()`."""

    month: str
    level: ServiceLevelState
    days: Sequence[Json]
    values: Json

    def as_dict(self) -> dict[str, Any]:
        """Return the values, JSON-ready."""
        return dict(self.values)


class HttpServiceLevels:
    """`gateway.sla` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Sequence[ProviderSlaState]:
        """Return the service levels of all providers that the caller may see, by name."""
        return [_provider(each) for each in self._connection.get("/v1/sla")["providers"]]

    def of(self, provider: str) -> ProviderSlaState:
        """Return those of one provider; raises `UnknownProvider`."""
        return _provider(self._connection.get(sla_path(provider)))

    def month(self, provider: str, month: str | None = None) -> MonthState:
        """Return a month's report, `"2026-10"`, the last whole month by default; in UTC."""
        found = self._connection.get(f"{sla_path(provider)}/month", {"month": month})
        level = _level({name: found[name] for name in found if name not in {"month", "days"}})
        return MonthState(found["month"], level, found["days"], found)

    def report(self, provider: str, month: str | None = None) -> str:
        """Return a month's report as a page of HTML to print; raises as `month`."""
        return self._connection.text(f"{sla_path(provider)}/report", {"month": month})


def _provider(document: Json) -> ProviderSlaState:
    windows = {name: _level(level) for name, level in document["windows"].items()}
    return ProviderSlaState(document["provider"], document["has_objectives"], windows)


def _level(document: Json) -> ServiceLevelState:
    given = {
        "kind", "resource", "target", "bound_seconds", "total", "bad", "observed_seconds",
        "known_share",
    }  # fmt: skip
    measured = [
        {
            name: value
            for name, value in (each | {"kind": each["objective"]}).items()
            if name in given
        }
        for each in document["objectives"]
    ]
    return ServiceLevelState(
        document["provider"],
        value_of(datetime, document["since"]),
        value_of(datetime, document["until"]),
        document["calls"],
        value_of(dict[CallResult, int], document["results"]),
        value_of(list[Span], document["outages"]),
        document["down_seconds"],
        document["is_met"],
        value_of(list[Measurement], measured),
        document,
    )
