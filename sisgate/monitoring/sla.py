"""Service levels of one provider over a span of time, from what was counted. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sisgate.domain.call_results import CallResult, CallTally
from sisgate.domain.latencies import Latencies, LatencySketch
from sisgate.domain.school_time import SchoolTime, Span, overlap, seconds_of
from sisgate.domain.service_levels import Measurement, ObjectiveKind, ReadTimes, stale_spans
from sisgate.settings.objectives import DatasetObjectives, ObjectivesConfig

Counts = Mapping[tuple[CallResult, str], CallTally]
"""Tallies by result and resource."""

LATENCIES = {ObjectiveKind.LATENCY_P95: 0.95, ObjectiveKind.LATENCY_P99: 0.99}


@dataclass(frozen=True)
class Evidence:
    """What is known of a provider within a span: its calls, its downtime, reads of its datasets.

    `reads` are by dataset. `known_since` is when its first call was counted, None for before the
    span.
    """

    since: datetime
    until: datetime
    counts: Counts
    down: Sequence[Span] = ()
    reads: Mapping[str, ReadTimes] = field(default_factory=dict)
    known_since: datetime | None = None

    @property
    def known_seconds(self) -> float:
        """How long of the span its calls were counted."""
        return (self.until - max(self.since, self.known_since or self.since)).total_seconds()

    @property
    def known_share(self) -> float:
        """The same as a share of the span; 1 if it is too short to tell."""
        return self.known_seconds / (self.until - self.since).total_seconds() or 1.0


@dataclass(frozen=True)
class ServiceLevel:
    """How a provider has served within a span of time, and what of its objectives was met.

    `results` counts its calls. `provider` are the latencies of its responses, `queue` the waiting
    times before, which are ours. `down` is when none of its endpoints took calls.
    """

    name: str
    since: datetime
    until: datetime
    results: Mapping[CallResult, int]
    provider: Latencies
    queue: Latencies
    down: Sequence[Span]
    measurements: Sequence[Measurement]

    @property
    def calls(self) -> int:
        """How many calls the provider has answered, or failed to."""
        return sum(n for result, n in self.results.items() if result.is_good or result.is_bad)

    @property
    def down_seconds(self) -> float:
        """How long it was down."""
        return seconds_of(iter(self.down))

    @property
    def is_met(self) -> bool | None:
        """Whether all objectives of which anything is known are met, None without any."""
        known = [each.is_met for each in self.measurements if each.is_met is not None]
        return all(known) if known else None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "provider": self.name,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "calls": self.calls,
            "results": {result.value: n for result, n in self.results.items()},
            "provider_seconds": quantiles(self.provider),
            "queue_seconds": quantiles(self.queue),
            "down_seconds": round(self.down_seconds, 3),
            "outages": [[begin.isoformat(), end.isoformat()] for begin, end in self.down],
            "is_met": self.is_met,
            "objectives": [each.as_dict() for each in self.measurements],
        }


def quantiles(known: Latencies) -> dict[str, float | None]:
    """Return the usual quantiles in seconds, None if nothing is known."""
    found = {f"p{share * 100:g}": known.quantile(share) for share in (0.5, 0.95, 0.99)}
    return {name: None if ms is None else round(ms / 1000, 4) for name, ms in found.items()}


def service_level(
    name: str, objectives: ObjectivesConfig, calendar: SchoolTime | None, evidence: Evidence
) -> ServiceLevel:
    """Return how a provider has served, and measure its objectives."""
    whole = _merged(evidence.counts.values())
    results: Counter[CallResult] = Counter()
    for (result, _), tally in evidence.counts.items():
        results[result] += tally.calls
    return ServiceLevel(
        name,
        evidence.since,
        evidence.until,
        dict(sorted(results.items())),
        whole.latency("provider"),
        whole.latency("queue"),
        evidence.down,
        list(_measured(objectives, calendar, evidence)),
    )


def _measured(
    objectives: ObjectivesConfig, calendar: SchoolTime | None, evidence: Evidence
) -> Iterable[Measurement]:
    yield from _of_calls(objectives, None, evidence)
    for resource, own in sorted(objectives.datasets.items()):
        yield from _of_calls(own, resource, evidence)
    for resource, read in sorted(evidence.reads.items()):
        own = objectives.datasets.get(resource, DatasetObjectives())
        bound = own.freshness or objectives.freshness
        if bound is not None:
            yield _freshness(resource, bound, objectives.fresh_share, read, calendar, evidence)


def _of_calls(
    objectives: DatasetObjectives, resource: str | None, evidence: Evidence
) -> Iterable[Measurement]:
    counts = {key: tally for key, tally in evidence.counts.items() if resource in {None, key[1]}}
    if objectives.availability is not None:
        yield _availability(objectives.availability, resource, counts, evidence)
    latencies = _merged(counts.values()).latency("provider")
    for kind, target in LATENCIES.items():
        bound = getattr(objectives, kind.value)
        if bound is not None:
            yield _latency(kind, target, bound, resource, latencies, evidence.known_share)


def _availability(
    target: float, resource: str | None, counts: Counts, evidence: Evidence
) -> Measurement:
    """Measure by calls or by time, whichever is worse.

    While a breaker is open hardly any call is made, so that calls alone would hide an outage.
    """
    good = sum(tally.calls for (result, _), tally in counts.items() if result.is_good)
    bad = sum(tally.calls for (result, _), tally in counts.items() if result.is_bad)
    kind, seconds = ObjectiveKind.AVAILABILITY, evidence.known_seconds
    down, known = min(seconds, seconds_of(iter(evidence.down))), evidence.known_share
    if down and down / seconds > (bad / (good + bad) if good + bad else 0):
        return Measurement(kind, resource, target, None, seconds, down, known_share=known)
    return Measurement(kind, resource, target, None, good + bad, bad, known_share=known)


def _latency(
    kind: ObjectiveKind,
    target: float,
    bound: timedelta,
    resource: str | None,
    latencies: LatencySketch,
    known_share: float,
) -> Measurement:
    seconds, observed = bound.total_seconds(), latencies.quantile(target)
    slow = latencies.count - latencies.up_to(seconds * 1000)[0]
    return Measurement(
        kind,
        resource,
        target,
        seconds,
        latencies.count,
        slow,
        None if observed is None else round(observed / 1000, 4),
        known_share,
    )


def _freshness(
    resource: str,
    bound: timedelta,
    target: float,
    read: ReadTimes,
    calendar: SchoolTime | None,
    evidence: Evidence,
) -> Measurement:
    kind, since, until = ObjectiveKind.FRESHNESS, evidence.since, evidence.until
    begin, stale = max(read.first, since), list(stale_spans(read, bound, since, until))

    def counted(begin: datetime) -> list[Span]:
        return [(begin, until)] if calendar is None else list(calendar.spans(begin, until))

    total, whole = (seconds_of(iter(counted(each))) for each in (begin, since))
    return Measurement(
        kind,
        resource,
        target,
        bound.total_seconds(),
        total,
        seconds_of(overlap(stale, counted(begin))),
        known_share=total / whole if total else 1.0,
    )


def _merged(tallies: Iterable[CallTally]) -> CallTally:
    merged = CallTally()
    for tally in tallies:
        merged.merge(tally)
    return merged
