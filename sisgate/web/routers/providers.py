"""Providers: their state and usage, forecasts."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from sisgate.domain.priorities import PriorityName
from sisgate.errors import BrokerUnavailable
from sisgate.gateway import NewRequest, Plan
from sisgate.web.deps import Caller, ProviderName, ResourceName
from sisgate.web.rights import operation
from sisgate.web.schemas.document import Moment
from sisgate.web.schemas.providers import (
    NamesDocument,
    ProviderDetails,
    ProvidersDocument,
    TransformOrder,
    TrialDocument,
    UsagePage,
    WindowShape,
    details_of,
)

router = APIRouter(prefix="/v1", tags=["providers"])


@router.get("/providers", **operation("look", "anywhere", "List providers"))
def list_providers(
    caller: Caller,
    text: Annotated[str, Query(description="A part of the name.", max_length=100)] = "",
    kind: str | None = None,
    pool: str | None = None,
    sort: Literal["name", "kind", "pool", "waiting"] = "name",
    page: Annotated[
        int | None, Query(ge=1, le=10**6, description="From 1; without it, all in one answer.")
    ] = None,
    size: Annotated[int, Query(ge=1, le=500)] = 50,
) -> ProvidersDocument:
    """Return the providers that the caller may see: limits, quota left, breakers, obstacles.

    Ask for a `page` where there are thousands: only its providers' state is read.
    """
    if page is None and not (text or kind or pool):
        return ProvidersDocument.of(caller.providers.overview())
    found = caller.providers.search(
        text, kind=kind, pool=pool, sort=sort, page=page or 1, size=size
    )
    return ProvidersDocument.of(found)


@router.get("/provider-names", **operation("look", "anywhere", "List providers' names"))
def list_provider_names(caller: Caller) -> NamesDocument:
    """Return the names of the providers that the caller may see, without their state."""
    return NamesDocument(names=list(caller.providers.names()))


@router.get("/providers/{provider}", **operation("look", "part of provider", "Show a provider"))
def get_provider(provider: ProviderName, caller: Caller) -> ProviderDetails:
    """Return a provider with its backlog by priority, expected starts, and why no call is made."""
    overview = caller.providers.overview(provider)
    try:
        hold, queue = caller.providers.hold(provider), caller.providers.queue(provider)
    except BrokerUnavailable:  # among the obstacles
        return details_of(overview, None, None)
    return details_of(overview, hold, queue)


@router.get(
    "/providers/{provider}/window",
    **operation("look", "part of provider", "Show when permits come back"),
)
def get_window(
    provider: ProviderName, caller: Caller, parts: Annotated[int, Query(ge=1, le=1000)] = 24
) -> WindowShape:
    """Return how many permits of the longest window come back in each part of it from now on."""
    return WindowShape(permits=list(caller.providers.window_shape(provider, parts)))


@router.get(
    "/providers/{provider}/datasets/{resource}/plan",
    **operation("look", "dataset", "Forecast a sync"),
)
def get_plan(
    provider: ProviderName,
    resource: ResourceName,
    caller: Caller,
    priority: PriorityName = "normal",
) -> Plan:
    """Return what a sync would need and when it would begin and end. Enqueues nothing."""
    return caller.plan(provider, resource, priority=priority)


@router.post(
    "/providers/{provider}/transforms/test", **operation("look", "provider", "Try a transform")
)
def try_transform(provider: ProviderName, order: TransformOrder, caller: Caller) -> TrialDocument:
    """Return what a transform makes of a request and a response. Makes no call."""
    request = NewRequest(
        provider, order.method, order.path, query=order.query, json=order.payload,
        body=order.body, headers=order.headers, transform=order.name,
    )  # fmt: skip
    trial = caller.transforms.test(
        request, response=order.response, status=order.status, headers=order.response_headers
    )
    return TrialDocument.of(trial)


@router.get("/usage", **operation("look", "anywhere", "Show calls by app"))
def get_usage(
    caller: Caller,
    provider: str | None = None,
    app: str | None = None,
    since: Annotated[Moment | None, Query(description="Default: a day ago.")] = None,
    until: Moment | None = None,
    by: Literal["total", "day", "hour"] = "total",
) -> UsagePage:
    """Return the calls of each app to each provider; an app sees its own only."""
    sums = caller.providers.usage(provider, app=app, since=since, until=until, by=by)
    return UsagePage(usage=sums)
