"""The state of providers, from documents of the service. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sisgate.admission.state import LimiterState, WindowState
from sisgate.breakers.spec import BreakerView, State
from sisgate.client.values import Json, moment, obstacle_of, value_of
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.gateway.breakers import EndpointStatus
from sisgate.gateway.datasets import AbsentDataset
from sisgate.gateway.overview import ProviderOverview

ENDLESS = datetime.max.replace(tzinfo=UTC)


def provider_of(document: Json) -> ProviderOverview:
    """Return the state of a provider. What an older service does not tell is missing."""
    is_known = document["in_flight"] is not None
    absent = document.get("absent")
    return ProviderOverview(
        name=document["name"],
        kind=document["kind"],
        limits=tuple(map(Rate.parse, document["limits"])),
        burst=document["burst"],
        weights={each["url"]: each["weight"] for each in document["endpoints"]},
        base_path=document["base_path"],
        auth=document["auth"],
        token_url=document["token_url"],
        pool=document.get("pool"),
        resources=tuple(document["resources"]),
        key_slots=document["keys"],
        limiter=limiter_of(document["name"], document) if is_known else None,
        waiting=document["waiting"],
        endpoints=[endpoint_of(each) for each in document["breakers"]] if is_known else None,
        obstacles=[obstacle_of(each) for each in document["obstacles"]],
        absent=None if absent is None else value_of(list[AbsentDataset], absent),
        workers=document.get("workers"),
        refused_slots=document.get("keys_refused", ()),
    )


def limiter_of(provider: str, document: Json) -> LimiterState:
    """Return what a limiter knows; what only its own decisions need is not told."""
    paused = document.get("paused_until")
    return LimiterState(
        provider=provider,
        known=document.get("known", True),
        windows=windows_of(document["windows"]),
        tokens=0.0,
        burst=0,
        in_flight=document.get("in_flight") or 0,
        factor=document.get("factor", 1.0),
        blocked_seconds=document.get("blocked_seconds") or 0.0,
        block_reason=document.get("block_reason") or "",
        paused_until=ENDLESS if paused == "until resumed" else moment(paused),
        overridden=document.get("overridden", False),
        next_permit_in_seconds=_by_priority(document.get("next_permit_in_seconds")),
        waiting_for=_by_priority(document.get("waiting_for")),
    )


def windows_of(documents: list[Json]) -> tuple[WindowState, ...]:
    """Return limits and their use."""
    return tuple(WindowState(Rate.parse(each["limit"]), each["used"]) for each in documents)


def endpoint_of(document: Json) -> EndpointStatus:
    """Return the state of an endpoint; its breaker's generation is not told."""
    wait = document["wait_seconds"]
    breaker = BreakerView(
        endpoint=document["endpoint"],
        state=State(document["state"]),
        wait_seconds=float("inf") if wait is None else wait,
        generation=0,
        failures_in_a_row=document["failures_in_a_row"],
        openings=document["openings"],
        calls=document["calls"],
        failures=document["failures"],
        slow=document["slow"],
        pinned=document["pinned"],
        pinned_until=moment(document["pinned_until"]),
        changed_at=moment(document["since"]),
        closed_seconds=None,
    )
    return EndpointStatus(
        document["number"], breaker, document["ejected"], document["unwell"],
        document["checked_seconds"],
    )  # fmt: skip


def _by_priority(values: Mapping[str, Any] | None) -> dict[Priority, Any]:
    return {Priority.parse(word): value for word, value in (values or {}).items()}
