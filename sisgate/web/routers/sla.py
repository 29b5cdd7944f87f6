"""Service levels: what was agreed on, and what is left of it."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from sisgate.console.printing import printed
from sisgate.web.deps import Caller, ProviderName
from sisgate.web.rights import operation
from sisgate.web.schemas.sla import MonthDocument, ProviderSlaDocument, SlaDocument

router = APIRouter(prefix="/v1/sla", tags=["sla"])

SEEN = partial(operation, "look", "part of provider")
Month = Annotated[
    str | None, Query(description="A month in UTC, such as 2026-10; the last whole one by default.")
]


@router.get("", **operation("look", "anywhere", "Show service levels"))
def list_service_levels(caller: Caller) -> SlaDocument:
    """Return availability, latency and freshness of all providers against their objectives."""
    return SlaDocument(providers=caller.sla.list())


@router.get("/{provider}", **SEEN("Show a provider's service levels"))
def get_service_levels(provider: ProviderName, caller: Caller) -> ProviderSlaDocument:
    """Return the same of one provider."""
    return ProviderSlaDocument.of(caller.sla.of(provider))


@router.get("/{provider}/month", **SEEN("Show a month's service levels"))
def get_month(provider: ProviderName, caller: Caller, month: Month = None) -> MonthDocument:
    """Return a month's service levels, by the day too."""
    return MonthDocument.of(caller.sla.month(provider, month))


@router.get(
    "/{provider}/report",
    responses={200: {"content": {"text/html": {}}}},
    response_class=Response,
    **SEEN("Print a month's service levels"),
)
def get_report(provider: ProviderName, caller: Caller, month: Month = None) -> Response:
    """Return the month's report as a page of HTML, without scripts."""
    return printed(caller.sla.report(provider, month))
