"""Service levels over HTTP, as the service shows them: latencies as quantiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sisgate.client.connection import Connection
from sisgate.client.paths import sla_path
from sisgate.client.reading import reads_answers
from sisgate.client.values import Json, value_of
from sisgate.domain.call_results import CallResult
from sisgate.domain.school_time import Span
from sisgate.domain.service_levels import Measurement
from sisgate.gateway.sla import ProviderSla
from sisgate.monitoring.sla import ServiceLevel


@dataclass(frozen=True)
class KnownQuantiles:
    """Latencies of which only the usual quantiles are known, in seconds by name."""

    seconds: Mapping[str, float | None]

    def quantile(self, share: float) -> float | None:
        """Return a quantile in ms; None if it is not known."""
        found = self.seconds.get(f"p{share * 100:g}")
        return None if found is None else found * 1000


@dataclass(frozen=True)
class MonthState:
    """A month's report, in all and by the day; as `Report`."""

    month: str
    level: ServiceLevel
    days: Sequence[Json]

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {"month": self.month, **self.level.as_dict(), "days": list(self.days)}


@reads_answers
class HttpServiceLevels:
    """`gateway.sla` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Sequence[ProviderSla]:
        """Return the service levels of all providers that the caller may see, by name."""
        return [_provider(each) for each in self._connection.get("/v1/sla")["providers"]]

    def of(self, provider: str) -> ProviderSla:
        """Return those of one provider; raises `UnknownProvider`."""
        return _provider(self._connection.get(sla_path(provider)))

    def month(self, provider: str, month: str | None = None) -> MonthState:
        """Return a month's report, `"2026-10"`, the last whole month by default; in UTC."""
        found = self._connection.get(f"{sla_path(provider)}/month", {"month": month})
        return MonthState(found["month"], _level(found), found["days"])

    def report(self, provider: str, month: str | None = None) -> str:
        """Return a month's report as a page of HTML to print; raises as `month`."""
        return self._connection.text(f"{sla_path(provider)}/report", {"month": month})


def _provider(document: Json) -> ProviderSla:
    windows = {name: _level(level) for name, level in document["windows"].items()}
    return ProviderSla(document["provider"], document["has_objectives"], windows)


def _level(document: Json) -> ServiceLevel:
    measured = [{**each, "kind": each["objective"]} for each in document["objectives"]]
    return ServiceLevel(
        document["provider"],
        value_of(datetime, document["since"]),
        value_of(datetime, document["until"]),
        value_of(dict[CallResult, int], document["results"]),
        KnownQuantiles(document["provider_seconds"]),
        KnownQuantiles(document["queue_seconds"]),
        value_of(list[Span], document["outages"]),
        value_of(list[Measurement], measured),
    )
