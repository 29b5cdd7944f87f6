"""What operators see of jobs and of the fleet, from documents of the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sisgate.client.values import Json, status_of, value_of
from sisgate.domain.job_filter import JobFilter
from sisgate.domain.priorities import Priority
from sisgate.gateway.bulk_actions import BulkOutcome, BulkReview
from sisgate.gateway.dashboard import Dashboard
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
        return asdict(self) | {"backlog": _by_word(self.backlog), "drains": _by_word(self.drains)}


@dataclass(frozen=True)
class DashboardState(Dashboard):
    """The fleet at one moment; its providers are as the service shows them."""

    providers: Sequence[ProviderLoadState]  # type: ignore[assignment]


def dashboard_of(document: Json) -> DashboardState:
    """Return the fleet at one moment."""
    loads = [
        {**each, **{name: _by_priority(each[name]) for name in ("backlog", "drains")}}
        for each in document["providers"]
    ]
    sums = {name: _by_priority(document[name]) for name in ("backlog", "drained_at", "stuck")}
    return value_of(DashboardState, {**document, **sums, "providers": loads})


def _by_priority(counts: Mapping[str, Any] | None) -> Mapping[Priority, Any] | None:
    return None if counts is None else {Priority.parse(word): n for word, n in counts.items()}


def _by_word(counts: Mapping[Priority, Any]) -> Mapping[str, Any]:
    return {priority.word: n for priority, n in counts.items()}
