"""The values of metrics at one moment."""

from collections.abc import Iterator, Sequence
from typing import Any

from sisgate.domain.latencies import LatencySketch
from sisgate.monitoring.catalogue import CATALOGUE, Metric

Value = float | LatencySketch
Sample = tuple[Sequence[str], Value]
"""The values of a metric's labels, in their order, and its value."""

QUANTILES = (0.5, 0.95, 0.99)


class Readings:
    """What was read of each metric of the catalogue."""

    def __init__(self) -> None:
        self._samples: dict[str, list[Sample]] = {metric.name: [] for metric in CATALOGUE}

    def add(self, metric: Metric, value: Value, *labels: str) -> None:
        """Add a sample."""
        self._samples[metric.name].append((labels, value))

    def of(self, metric: Metric) -> Sequence[Sample]:
        """Return the samples of a metric."""
        return self._samples[metric.name]

    def __iter__(self) -> Iterator[tuple[Metric, Sequence[Sample]]]:
        return ((metric, self._samples[metric.name]) for metric in CATALOGUE)

    def as_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return the samples by metric, JSON-ready: its labels and `value`.

        Of a histogram it is `count`, `sum_seconds`, and the quantiles in seconds.
        """
        return {
            metric.name: [
                {**dict(zip(metric.labels, labels, strict=True)), **_json_of(value)}
                for labels, value in samples
            ]
            for metric, samples in self
        }


def _json_of(value: Value) -> dict[str, Any]:
    if not isinstance(value, LatencySketch):
        return {"value": value}
    quantiles = {f"p{share * 100:g}_seconds": value.quantile(share) for share in QUANTILES}
    return {
        "count": value.count,
        "sum_seconds": round(value.sum_ms / 1000, 3),
        **{name: None if ms is None else round(ms / 1000, 6) for name, ms in quantiles.items()},
    }
