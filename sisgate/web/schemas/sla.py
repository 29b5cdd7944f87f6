"""Service levels as JSON."""

from sisgate.web.schemas.document import Document, Moment


class LatencyQuantiles(Document):
    """Quantiles in seconds; null if no call is known."""

    p50: float | None
    p95: float | None
    p99: float | None


class MeasurementDocument(Document):
    """One objective, measured. `total` and `bad` are calls, or seconds; without any, null.

    `known_share` is the share of the span that was measured.
    """

    objective: str
    resource: str | None
    target: float
    bound_seconds: float | None
    total: float
    bad: float
    good_share: float | None
    observed_seconds: float | None
    known_share: float
    is_met: bool | None
    burn_rate: float | None
    budget_left: float | None


class ServiceLevelDocument(Document):
    """How a provider has served within a span. `outages` have a beginning and an end."""

    provider: str
    since: Moment
    until: Moment
    calls: int
    results: dict[str, int]
    provider_seconds: LatencyQuantiles
    queue_seconds: LatencyQuantiles
    down_seconds: float
    outages: list[tuple[Moment, Moment]]
    is_met: bool | None
    objectives: list[MeasurementDocument]


class ProviderSlaDocument(Document):
    """The service levels of a provider within the last hour (`1h`), `24h` and `30d`."""

    provider: str
    has_objectives: bool
    windows: dict[str, ServiceLevelDocument]


class SlaDocument(Document):
    """The service levels of the providers that the caller may see."""

    providers: list[ProviderSlaDocument]


class DayDocument(Document):
    """One day of a month's report, in UTC."""

    day: str
    good: int
    bad: int
    provider_p95_seconds: float | None
    queue_p95_seconds: float | None


class MonthDocument(ServiceLevelDocument):
    """A month's report."""

    month: str
    days: list[DayDocument]
