"""A snapshot of the fleet as OpenMetrics text. Labels come from configuration and enums only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from sisgate.monitoring.fleet_snapshot import FleetSnapshot

STATES = ("closed", "open", "half-open")
Values = Iterable[tuple[Sequence[str], float]]
"""The values of a metric, each with its labels."""


def render(fleet: FleetSnapshot) -> str:
    """Return the snapshot as OpenMetrics text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(fleet))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library types it so
    return text.decode()


class _Snapshot(Collector):
    """What prometheus_client asks for the families of metrics."""

    def __init__(self, fleet: FleetSnapshot) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        yield from _of_endpoints(self._fleet)
        yield from _of_limits(self._fleet)
        yield from _of_work(self._fleet)
        yield from _of_fleet(self._fleet)


def _of_endpoints(fleet: FleetSnapshot) -> Iterator[Metric]:
    labels = ("provider", "endpoint")
    endpoints = [((p.name, one.url), one) for p in fleet.providers for one in p.endpoints]
    state = StateSetMetricFamily("sisgate_breaker_state", "State of the breaker.", labels=labels)
    for place, one in endpoints:
        state.add_metric(place, {name: name == one.state for name in STATES})
    yield state
    for name, text, field in (
        ("sisgate_breaker_pinned", "Whether an operator has pinned it.", "pinned"),
        ("sisgate_endpoint_ejected", "Whether it is ejected as an outlier or unwell.", "ejected"),
        ("sisgate_endpoint_unwell", "Whether it fails its health checks.", "unwell"),
    ):
        values = ((place, getattr(one, field)) for place, one in endpoints)
        yield _gauge(name, text, labels, values)
    yield _counter(
        "sisgate_calls",
        "Calls by outcome.",
        (*labels, "outcome"),
        (((*place, key), n) for place, one in endpoints for key, n in one.calls.items()),
    )
    yield _counter(
        "sisgate_breaker_transitions",
        "Transitions by new state and reason.",
        (*labels, "state", "reason"),
        (((*place, *key), n) for place, one in endpoints for key, n in one.transitions.items()),
    )


def _of_limits(fleet: FleetSnapshot) -> Iterator[Metric]:
    windows = [((p.name, window.rate), window) for p in fleet.providers for window in p.windows]
    for name, text, field in (
        ("sisgate_limit_calls", "Calls of the limit.", "limit"),
        ("sisgate_limit_used", "Calls used of the limit.", "used"),
        ("sisgate_limit_left", "Calls left of the limit.", "left"),
    ):
        values = ((place, getattr(window, field)) for place, window in windows)
        yield _gauge(name, text, ("provider", "window"), values)
    yield from _of_providers(
        fleet,
        ("sisgate_limit_factor", "Adaptive factor of the pace, 1 for none.", "factor"),
        ("sisgate_limit_blocked_seconds", "Seconds left of a block.", "blocked_seconds"),
        ("sisgate_provider_paused", "Whether it is paused.", "paused"),
        ("sisgate_calls_in_flight", "Calls in flight.", "in_flight"),
    )


def _of_work(fleet: FleetSnapshot) -> Iterator[Metric]:
    for name, text, label, field in (
        ("sisgate_queue_messages", "Messages waiting.", "priority", "waiting"),
        ("sisgate_jobs", "Jobs in the ledger by state.", "state", "jobs"),
        ("sisgate_key_expiry_days", "Days until the active key expires.", "slot", "key_days"),
    ):
        values = (
            ((p.name, key), number)
            for p in fleet.providers
            for key, number in getattr(p, field).items()
        )
        yield _gauge(name, text, ("provider", label), values)
    yield from _of_providers(
        fleet,
        ("sisgate_queue_held", "Whether no endpoint may be called.", "held"),
        ("sisgate_dead_letters", "Jobs given up for good.", "dead_letters"),
        ("sisgate_lost_workers", "Workers lost while making calls.", "lost_workers"),
        ("sisgate_requests_shared", "Requests answered by another one's call.", "shared"),
    )
    quarantined = [((), fleet.quarantined)]
    yield _gauge("sisgate_quarantine_messages", "Messages in quarantine.", (), quarantined)


def _of_fleet(fleet: FleetSnapshot) -> Iterator[Metric]:
    alive = (((kind,), count) for kind, count in fleet.alive.items())
    yield _gauge("sisgate_alive", "Processes that are alive.", ("kind",), alive)
    yield from _of_providers(fleet, ("sisgate_workers", "Workers alive that serve it.", "workers"))
    obstacles = (((provider or "", cause), 1) for cause, provider in fleet.obstacles)
    text = "What blocks jobs."
    yield _gauge("sisgate_obstacle", text, ("provider", "cause"), obstacles)
    if fleet.reconciled_seconds is not None:
        age = [((), fleet.reconciled_seconds)]
        text = "Seconds since the last reconcile."
        yield _gauge("sisgate_reconcile_age_seconds", text, (), age)
    offsets = (((host,), seconds) for host, seconds in fleet.clock_offsets.items())
    text = "How far a host's clock is ahead of Redis."
    yield _gauge("sisgate_clock_offset_seconds", text, ("host",), offsets)


def _of_providers(fleet: FleetSnapshot, *metrics: tuple[str, str, str]) -> Iterator[Metric]:
    for name, text, field in metrics:
        values = (((p.name,), getattr(p, field)) for p in fleet.providers)
        yield _gauge(name, text, ("provider",), values)


def _gauge(name: str, text: str, labels: Sequence[str], values: Values) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for place, value in values:
        family.add_metric(place, float(value))
    return family


def _counter(name: str, text: str, labels: Sequence[str], values: Values) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for place, value in values:
        family.add_metric(place, float(value))
    return family
