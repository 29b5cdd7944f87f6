"""A reading as OpenMetrics text. Labels take their values from the configuration and from enums."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from sisgate.monitoring.reading import FleetReading

STATES = ("closed", "open", "half-open")


def render(reading: FleetReading) -> str:
    """Return the text that a scraper reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reading(reading))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library types it so
    return text.decode()


class _Reading(Collector):
    """What prometheus_client asks for the families of metrics."""

    def __init__(self, reading: FleetReading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        yield from _of_endpoints(self._reading)
        yield from _of_limits(self._reading)
        yield from _of_work(self._reading)
        yield from _of_fleet(self._reading)


def _of_endpoints(reading: FleetReading) -> Iterator[Metric]:
    labels = ("provider", "endpoint")
    state = StateSetMetricFamily("sisgate_breaker_state", "State of the breaker.", labels=labels)
    pinned = GaugeMetricFamily(
        "sisgate_breaker_pinned", "Whether it is set by hand.", labels=labels
    )
    ejected = GaugeMetricFamily(
        "sisgate_endpoint_ejected", "Whether it is left out as an outlier or unwell.", labels=labels
    )
    unwell = GaugeMetricFamily(
        "sisgate_endpoint_unwell", "Whether it fails its health checks.", labels=labels
    )
    calls = CounterMetricFamily(
        "sisgate_calls", "Calls by what they told of the endpoint.", labels=(*labels, "outcome")
    )
    transitions = CounterMetricFamily(
        "sisgate_breaker_transitions",
        "Transitions by the new state and why.",
        labels=(*labels, "state", "reason"),
    )
    for provider in reading.providers:
        for one in provider.endpoints:
            place = (provider.name, one.url)
            state.add_metric(place, {name: name == one.state for name in STATES})
            pinned.add_metric(place, one.pinned)
            ejected.add_metric(place, one.ejected)
            unwell.add_metric(place, one.unwell)
            for outcome, count in one.calls.items():
                calls.add_metric((*place, outcome), count)
            for change, count in one.transitions.items():
                transitions.add_metric((*place, *change), count)
    yield from (state, pinned, ejected, unwell, calls, transitions)


def _of_limits(reading: FleetReading) -> Iterator[Metric]:
    windows = ("provider", "window")
    limit = GaugeMetricFamily("sisgate_limit_calls", "Calls of the limit.", labels=windows)
    used = GaugeMetricFamily("sisgate_limit_used", "Calls used of the limit.", labels=windows)
    left = GaugeMetricFamily("sisgate_limit_left", "Calls left of the limit.", labels=windows)
    for provider in reading.providers:
        for window in provider.windows:
            place = (provider.name, window.rate)
            limit.add_metric(place, window.limit)
            used.add_metric(place, window.used)
            left.add_metric(place, window.left)
    yield from (limit, used, left)
    yield _gauge(
        reading, "sisgate_limit_factor", "Adaptive factor of the pace, 1 for none.", "factor"
    )
    yield _gauge(
        reading, "sisgate_limit_blocked_seconds", "Seconds of a block left.", "blocked_seconds"
    )
    yield _gauge(reading, "sisgate_provider_paused", "Whether it is paused.", "paused")
    yield _gauge(reading, "sisgate_calls_in_flight", "Calls under way.", "in_flight")


def _of_work(reading: FleetReading) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "sisgate_queue_messages", "Messages that wait.", labels=("provider", "priority")
    )
    jobs = GaugeMetricFamily(
        "sisgate_jobs", "Jobs in the ledger by state.", labels=("provider", "state")
    )
    keys = GaugeMetricFamily(
        "sisgate_key_expiry_days", "Days until the active key expires.", labels=("provider", "slot")
    )
    for provider in reading.providers:
        for family, values in (
            (waiting, provider.waiting),
            (jobs, provider.jobs),
            (keys, provider.key_days),
        ):
            for label, value in values.items():
                family.add_metric((provider.name, label), value)
    yield from (waiting, jobs, keys)
    yield _gauge(reading, "sisgate_queue_held", "Whether no endpoint may be called.", "held")
    yield _gauge(
        reading, "sisgate_dead_letters", "Jobs given up and not tried again.", "dead_letters"
    )
    yield _gauge(
        reading, "sisgate_lost_workers", "Workers lost under calls of the ledger.", "lost_workers"
    )
    yield GaugeMetricFamily(
        "sisgate_quarantine_messages", "Messages in quarantine.", reading.quarantined
    )


def _of_fleet(reading: FleetReading) -> Iterator[Metric]:
    alive = GaugeMetricFamily("sisgate_alive", "Processes that are alive.", labels=("kind",))
    for kind, count in reading.alive.items():
        alive.add_metric((kind,), count)
    yield alive
    yield _gauge(reading, "sisgate_workers", "Workers alive that serve it.", "workers")
    obstacles = GaugeMetricFamily(
        "sisgate_obstacle", "What keeps jobs from going on.", labels=("provider", "cause")
    )
    for cause, provider in reading.obstacles:
        obstacles.add_metric((provider or "", cause), 1)
    yield obstacles
    if reading.reconciled_seconds is not None:
        yield GaugeMetricFamily(
            "sisgate_reconcile_age_seconds",
            "Seconds since the last reconcile.",
            reading.reconciled_seconds,
        )
    offsets = GaugeMetricFamily(
        "sisgate_clock_offset_seconds",
        "How far a host's clock is ahead of Redis.",
        labels=("host",),
    )
    for host, seconds in reading.clock_offsets.items():
        offsets.add_metric((host,), seconds)
    yield offsets


def _gauge(reading: FleetReading, name: str, words: str, field: str) -> Metric:
    family = GaugeMetricFamily(name, words, labels=("provider",))
    for provider in reading.providers:
        family.add_metric((provider.name,), float(getattr(provider, field)))
    return family
