"""Small plots as SVG, for pages without scripts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 880, 220
LEFT, BOTTOM, TOP = 60, 24, 10
_PLOT = HEIGHT - BOTTOM - TOP


@dataclass(frozen=True)
class Line:
    """One series; `style` is its class in the page's style sheet. None leaves a gap."""

    style: str
    values: Sequence[float | None]


def bars(names: Sequence[str], below: Sequence[float], above: Sequence[float], title: str) -> str:
    """Return stacked bars, one for each name; of the classes `good` and, above these, `bad`."""
    most = max((a + b for a, b in zip(below, above, strict=True)), default=0) or 1
    step = (WIDTH - LEFT) / max(1, len(names))
    parts = list(_frame(names, most, title))
    for place, (low, high) in enumerate(zip(below, above, strict=True)):
        x, width = LEFT + place * step + step * 0.1, step * 0.8
        for style, value, base in (("good", low, 0.0), ("bad", high, low)):
            if value:
                y, height = _y(base + value, most), value / most * _PLOT
                parts.append(
                    f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                    f'height="{height:.1f}"/>'
                )
    return "".join([*parts, "</svg>"])


def lines(names: Sequence[str], series: Sequence[Line], title: str) -> str:
    """Return lines over the names, on one scale from 0."""
    most = max((v for line in series for v in line.values if v is not None), default=0) or 1
    step = (WIDTH - LEFT) / max(1, len(names))
    parts = list(_frame(names, most, title))
    for line in series:
        for run in _runs(line.values):
            points = [(LEFT + (place + 0.5) * step, _y(value, most)) for place, value in run]
            text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(f'<polyline class="{line.style}" points="{text}"/>')
            parts += [
                f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in points
            ]
    return "".join([*parts, "</svg>"])


def _runs(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """Yield what stands together without a gap, each with its place."""
    run: list[tuple[int, float]] = []
    for place, value in enumerate([*values, None]):
        if value is not None:
            run.append((place, value))
        elif run:
            yield run
            run = []


def _frame(names: Sequence[str], most: float, title: str) -> Iterator[str]:
    yield f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
    for share in (0.0, 0.5, 1.0):
        y = _y(share * most, most)
        style = "grid" if share else "axis"
        yield f'<line class="{style}" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share * most:,.3g}</text>'
    step = (WIDTH - LEFT) / max(1, len(names))
    for place, name in enumerate(names):
        x = LEFT + (place + 0.5) * step
        yield f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(name)}</text>'


def _y(value: float, most: float) -> float:
    return TOP + _PLOT * (1 - value / most)
