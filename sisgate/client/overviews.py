"""What operators see of jobs and of the fleet, from documents of the service."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sisgate.client.provider_state import limiter_of
from sisgate.client.values import Json, status_of, value_of
from sisgate.domain.job_filter import JobFilter
from sisgate.domain.priorities import Priority
from sisgate.gateway.bulk_actions import BulkReview
from sisgate.gateway.dashboard import Dashboard
from sisgate.gateway.hold import Hold
from sisgate.gateway.overview import ProviderOverview
from sisgate.gateway.provider_load import KeyAges, ProviderLoad, ServiceSummary


def review_of(document: Json, wanted: JobFilter) -> BulkReview:
    """Return what an action on all jobs that match would be done to."""
    names = [each.name for each in fields(BulkReview) if each.name not in {"wanted", "sample"}]
    sample = [status_of(each) for each in document["sample"]]
    return BulkReview(wanted=wanted, sample=sample, **{name: document[name] for name in names})


def dashboard_of(document: Json) -> Dashboard:
    """Return the fleet at one moment."""
    sums = {name: _by_priority(document[name]) for name in ("backlog", "drained_at", "stuck")}
    board = value_of(Dashboard, {**document, **sums, "providers": ()})
    return replace(board, providers=[_load_of(each) for each in document["providers"]])


def _load_of(document: Json) -> ProviderLoad:
    limiter = limiter_of(document["name"], document)
    overview = ProviderOverview(
        document["name"], document["kind"], limits=(), burst=None, weights={}, base_path=None,
        auth="", token_url=None, pool=None, resources=(), limiter=limiter,
    )  # fmt: skip
    return ProviderLoad(
        overview,
        value_of(dict[Priority, int], _by_priority(document["backlog"])),
        Hold(document["hold"], None) if document["hold"] else None,
        value_of(dict[Priority, datetime], _by_priority(document["drains"])),
        document["shape"],
        value_of(KeyAges, document["keys"]) if document["keys"] else None,
        value_of(ServiceSummary, document["service"]) if document["service"] else None,
    )


def _by_priority(counts: Mapping[str, Any] | None) -> Mapping[Priority, Any] | None:
    return None if counts is None else {Priority.parse(word): n for word, n in counts.items()}
