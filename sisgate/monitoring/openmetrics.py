"""Readings as OpenMetrics text (version 1.0.0, 2020-11).

Written by hand: prometheus_client takes five times as long, and a fleet of thousands of providers
has tens of thousands of samples. Tests read the text back by its parser.
"""

from collections.abc import Iterator, Sequence

from sisgate.domain.latencies import LatencySketch
from sisgate.monitoring.catalogue import Metric
from sisgate.monitoring.readings import Readings, Sample


def render(readings: Readings) -> str:
    """Return the text; metrics without a sample are left out."""
    lines: list[str] = []
    for metric, samples in readings:
        if samples:
            lines.append(f"# HELP {metric.name} {_escaped(metric.text)}\n")
            lines.append(f"# TYPE {metric.name} {metric.kind}\n")
            lines += _lines(metric, samples)
    lines.append("# EOF\n")
    return "".join(lines)


def _lines(metric: Metric, samples: Sequence[Sample]) -> Iterator[str]:
    name = metric.samples[0]
    for values, value in samples:
        named = zip(metric.labels, values, strict=True)
        labels = ",".join([f'{label}="{_escaped(text)}"' for label, text in named])
        if isinstance(value, LatencySketch):
            yield from _histogram(metric, labels, value)
        else:
            yield f"{name}{_braced(labels)} {_number(value)}\n"


def _histogram(metric: Metric, labels: str, sketch: LatencySketch) -> Iterator[str]:
    name, count = metric.name, sketch.count
    before = f"{labels}," if labels else ""
    numbers = sketch.up_to(*[1000 * bound for bound in metric.bounds])
    for bound, number in zip(metric.bounds, numbers, strict=True):
        yield f'{name}_bucket{{{before}le="{bound}"}} {number}\n'
    yield f'{name}_bucket{{{before}le="+Inf"}} {count}\n'
    yield f"{name}_count{_braced(labels)} {count}\n"
    yield f"{name}_sum{_braced(labels)} {_number(sketch.sum_ms / 1000)}\n"


def _number(value: float) -> str:
    """Return a number without the noise of sums of binary fractions.

    >>> _number(0.1 + 0.2), _number(12), _number(float("inf"))
    ('0.3', '12', 'inf')
    """
    return repr(round(value, 9))


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _escaped(text: str) -> str:
    if "\\" in text or '"' in text or "\n" in text:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return text
