"""What operators see of jobs and of the fleet, from documents of the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sisgate.client.values import Json, status_of, value_of
from sisgate.domain.job_filter import JobFilter
from sisgate.domain.priorities import Priority
from sisgate.gateway.attention import Attention
from sisgate.gateway.bulk_actions import BulkOutcome, BulkReview
from sisgate.gateway.provider_load import KeyAges, ServiceSummary
from sisgate.gateway.timeline import Timeline


def timeline_of(document: Json) -> Timeline:
    """Return what happened to a job."""
    return value_of(Timeline, document)


def review_of(document: Json, wanted: JobFilter) -> BulkReview:
    """Return what an action on all jobs that match would be done to."""
    sample = [status_of(each) for each in document["sample"]]
    return BulkReview(**{**document, "sample": sample}, wanted=wanted)


def outcome_of(document: Json) -> BulkOutcome:
    """Return what became of an action on all jobs that match."""
    return value_of(BulkOutcome, document)


@dataclass(frozen=True)
class ProviderLoadState:
    """A provider with its backlog by priority; as `ProviderLoad`. `hold` is the reason alone."""

    name: str
    kind: str
    windows: Sequence[Json]
    hold: str | None
    backlog: Mapping[Priority, int]
    drained_at: datetime | None
    drains: Mapping[Priority, datetime]
    shape: Sequence[int]
    keys: KeyAges | None
    service: ServiceSummary | None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready, but for times."""
        return {
            **_values(self), "backlog": _by_word(self.backlog), "drains": _by_word(self.drains),
            "keys": asdict(self.keys) if self.keys else None,
            "service": asdict(self.service) if self.service else None,
        }  # fmt: skip


@dataclass(frozen=True)
class DashboardState:
    """The fleet at one moment; as `Dashboard`."""

    at: datetime
    attention: Sequence[Attention]
    live_jobs: Mapping[str, int]
    backlog: Mapping[Priority, int] | None
    drained_at: Mapping[Priority, datetime]
    stuck: Mapping[Priority, int]
    providers: Sequence[ProviderLoadState]
    provider_count: int
    workers: int | None
    silent: int | None
    beats: int | None
    slots: int | None
    busy: int | None
    calls_since: datetime
    calls: int
    failed: int
    throttled: int
    unknown: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready, but for times."""
        return {
            **_values(self),
            "attention": [each.as_dict() for each in self.attention],
            "backlog": _by_word(self.backlog),
            "drained_at": _by_word(self.drained_at), "stuck": _by_word(self.stuck),
            "providers": [each.as_dict() for each in self.providers],
        }  # fmt: skip


def dashboard_of(document: Json) -> DashboardState:
    """Return the fleet at one moment."""
    loads = [
        {**each, **{name: _by_priority(each[name]) for name in ("backlog", "drains")}}
        for each in document["providers"]
    ]
    sums = {name: _by_priority(document[name]) for name in ("backlog", "drained_at", "stuck")}
    return value_of(DashboardState, {**document, **sums, "providers": loads})


def _values(state: Any) -> dict[str, Any]:
    return {each.name: getattr(state, each.name) for each in fields(state)}


def _by_priority(counts: Mapping[str, Any] | None) -> Mapping[Priority, Any] | None:
    return None if counts is None else {Priority.parse(word): n for word, n in counts.items()}


def _by_word(counts: Mapping[Priority, Any] | None) -> Mapping[str, Any] | None:
    return None if counts is None else {priority.word: n for priority, n in counts.items()}
