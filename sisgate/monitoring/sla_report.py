"""The monthly report for the vendor of a SIS: a page of HTML to read or print, without scripts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from sisgate.domain.call_results import CallResult, CallTally
from sisgate.domain.figures import budget_left, duration, latency, percent
from sisgate.domain.service_levels import Measurement, ObjectiveKind
from sisgate.monitoring.charts import Line, bars, lines
from sisgate.monitoring.sla import Counts, ServiceLevel

_NAMES = {
    ObjectiveKind.AVAILABILITY: "Availability",
    ObjectiveKind.LATENCY_P95: "95 % of calls within {}",
    ObjectiveKind.LATENCY_P99: "99 % of calls within {}",
    ObjectiveKind.FRESHNESS: "Data at most {} old",
}

_STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .quiet { color: #57606a; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #d0d7de; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.met { color: #116329; } .missed { color: #a40e26; font-weight: 600; }
svg { width: 100%; height: auto; display: block; }
figure { margin: 1rem 0; break-inside: avoid; } figcaption { font-weight: 600; }
.axis { stroke: #8c959f; } .grid { stroke: #eaeef2; }
text { font: 11px system-ui, sans-serif; fill: #57606a; }
.a { stroke: #0550ae; fill: #0550ae; } .b { stroke: #bc4c00; fill: #bc4c00; stroke-dasharray: 5 3; }
.bad { fill: #a40e26; } .good { fill: #54a36a; }
polyline.a, polyline.b { fill: none; stroke-width: 1.6; }
@media (max-width: 40rem) { body { font-size: 12px; overflow-wrap: anywhere; }
  th, td { padding: .2rem .3rem; } }
@page { margin: 15mm; } @media print { body { margin: 0; max-width: none; } }
"""


@dataclass(frozen=True)
class Report:
    """What a provider did in a month, in all and by the day; made at `made_at`."""

    level: ServiceLevel
    days: Mapping[datetime, Counts]
    made_at: datetime

    @property
    def month(self) -> str:
        """The month, such as `2026-10`."""
        return f"{self.level.since:%Y-%m}"

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "month": self.month,
            **self.level.as_dict(),
            "days": [
                {
                    "day": f"{day:%Y-%m-%d}",
                    "good": _number(counts, lambda result: result.is_good),
                    "bad": _number(counts, lambda result: result.is_bad),
                    "provider_p95_seconds": _p95(counts, "provider"),
                    "queue_p95_seconds": _p95(counts, "queue"),
                }
                for day, counts in self.days.items()
            ],
        }


def render(report: Report) -> str:
    """Return the page."""
    return "".join(_page(report))


def _page(report: Report) -> Iterator[str]:
    level, name = report.level, escape(report.level.name)
    title = f"Service levels of {name}, {level.since:%B %Y}"
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><main>"
    yield f"<h1>{title}</h1>"
    yield (
        f'<p class="quiet">{level.since:%Y-%m-%d %H:%M} to {level.until:%Y-%m-%d %H:%M} UTC, '
        f"made by sisgate on {report.made_at:%Y-%m-%d %H:%M} UTC</p>"
    )
    yield from _summary(level)
    yield "<h2>Objectives</h2>"
    yield from _objectives(level.measurements)
    yield "<h2>By the day</h2>"
    yield from _plots(report)
    yield "<h2>Calls</h2>"
    yield from _results(level)
    yield "<h2>Outages</h2>"
    yield from _outages(level)
    yield "<h2>How this was measured</h2>"
    yield (
        "<p>A call is one HTTP request. Good are those that the provider answered, even if it "
        "refused what was asked for; bad are answers of 5xx and 408, answers that could not be "
        "used, and calls that got none. Refused keys (401, 403) and 429 count neither way. "
        "Availability is the lower of the share of good calls and the share of time in which an "
        "endpoint could be called. The provider's time is from sending a request to its whole "
        "response; the waiting before is ours, and no part of it.</p>"
    )
    yield "</main></body></html>\n"


def _summary(level: ServiceLevel) -> Iterator[str]:
    met = {True: "All objectives were met.", False: "Not all objectives were met.", None: ""}
    style = "missed" if level.is_met is False else "met"
    yield f'<p class="{style}">{met[level.is_met]}</p>' if met[level.is_met] else ""
    provider, queue = level.provider.quantile, level.queue.quantile
    yield (
        f"<p>{level.calls:,} calls; half of the responses within {latency(provider(0.5))}, "
        f"95% within {latency(provider(0.95))}, 99% within {latency(provider(0.99))}. Before, "
        f"calls waited in our queue: half up to {latency(queue(0.5))}, 95% up to "
        f"{latency(queue(0.95))}. The provider was down for {duration(level.down_seconds)}.</p>"
    )


def _objectives(measurements: Sequence[Measurement]) -> Iterator[str]:
    if not measurements:
        yield '<p class="quiet">None are configured.</p>'
        return
    yield "<table><thead><tr><th>objective</th><th>of</th><th class=n>target</th>"
    yield "<th class=n>measured</th><th class=n>error budget left</th><th>result</th></tr></thead>"
    yield "<tbody>"
    for each in measurements:
        verdict = {True: ("met", "met"), False: ("missed", "missed"), None: ("quiet", "no data")}
        style, text = verdict[each.is_met]
        cells = (
            f"<td>{_NAMES[each.kind].format(duration(each.bound_seconds or 0))}",
            f"<td>{escape(each.resource or 'all calls')}",
            f"<td class=n>{percent(each.target, 2)}",
            f"<td class=n>{percent(each.good_share, 2)}",
            f"<td class=n>{budget_left(each.budget_left)}",
            f"<td class={style}>{text}",
        )
        yield f"<tr>{'</td>'.join(cells)}</td></tr>"
    yield "</tbody></table>"


def _plots(report: Report) -> Iterator[str]:
    if not report.level.calls:
        yield '<p class="quiet">No calls.</p>'
        return
    names = [f"{day:%d}" for day in report.days]
    counts = list(report.days.values())
    good = [_number(each, lambda result: result.is_good) for each in counts]
    bad = [_number(each, lambda result: result.is_bad) for each in counts]
    yield "<figure><figcaption>Calls: good (green), bad (red, above)</figcaption>"
    yield bars(names, good, bad, "Calls by the day") + "</figure>"
    for style, stage, whose in (
        ("a", "provider", "The provider's time"),
        ("b", "queue", "Our queue"),
    ):
        yield f"<figure><figcaption>{whose}: 95 % of calls within, in seconds</figcaption>"
        yield lines(names, [Line(style, [_p95(each, stage) for each in counts])], whose)
        yield "</figure>"


def _results(level: ServiceLevel) -> Iterator[str]:
    yield "<table><thead><tr><th>result</th><th>counts as</th><th class=n>calls</th></tr></thead>"
    yield "<tbody>"
    for result, number in level.results.items():
        kind = "good" if result.is_good else "bad" if result.is_bad else "not counted"
        yield f"<tr><td>{result.value.replace('_', ' ')}</td><td>{kind}</td>"
        yield f"<td class=n>{number:,}</td></tr>"
    yield "</tbody></table>"


def _outages(level: ServiceLevel) -> Iterator[str]:
    if not level.down:
        yield '<p class="quiet">None: at any time an endpoint could be called.</p>'
        return
    yield "<table><thead><tr><th>from (UTC)</th><th>to</th><th class=n>length</th></tr></thead>"
    for begin, end in level.down:
        length = duration((end - begin).total_seconds())
        yield f"<tr><td>{begin:%Y-%m-%d %H:%M:%S}</td><td>{end:%Y-%m-%d %H:%M:%S}</td>"
        yield f"<td class=n>{length}</td></tr>"
    yield "</table>"


def _number(counts: Counts, is_such: Callable[[CallResult], bool]) -> int:
    return sum(tally.calls for (result, _), tally in counts.items() if is_such(result))


def _p95(counts: Counts, stage: str) -> float | None:
    merged = CallTally()
    for tally in counts.values():
        merged.merge(tally)
    latency = merged.latency(stage).quantile(0.95)
    return None if latency is None else round(latency / 1000, 4)
