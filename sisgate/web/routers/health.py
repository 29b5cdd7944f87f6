"""Whether the service lives, whether it is ready, and metrics."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response

from sisgate.gateway import Gateway
from sisgate.web.deps import Caller, Common
from sisgate.web.identity import caller_of
from sisgate.web.rights import OPEN, operation
from sisgate.web.schemas.document import Document, Json

router = APIRouter(tags=["health"])

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class LiveDocument(Document):
    """The process answers."""

    status: Literal["live"] = "live"


class MetricsDocument(Document):
    """The samples of each metric: its labels and `value`, or what is known of a histogram."""

    metrics: dict[str, list[Json]]


class CheckDocument(Document):
    """One thing that was checked."""

    name: str
    ok: bool
    detail: str


class ReadyDocument(Document):
    """`ready`; `degraded`: jobs are accepted and wait; `unready`: none is accepted.

    `checks` are shown to callers with a token only.
    """

    status: Literal["ready", "degraded", "unready"]
    checks: list[CheckDocument] | None = None


async def _known(request: Request) -> Gateway | None:
    return caller_of(request.scope)


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", openapi_extra=OPEN, summary="Say whether the process answers")
async def get_live() -> LiveDocument:
    """Ask nothing and nobody: a process that does not answer should be restarted."""
    return LiveDocument()


@router.head("/health/ready", include_in_schema=False)
@router.get(
    "/health/ready",
    openapi_extra=OPEN,
    responses={503: {"model": ReadyDocument, "description": "No job can be accepted."}},
    summary="Say whether jobs can be accepted",
)
async def get_ready(
    response: Response, shared: Common, known: Annotated[Gateway | None, Depends(_known)]
) -> ReadyDocument:
    """Check database, schema, broker, workers and beat; what was found is kept for a second."""
    readiness = await shared.readiness.read()
    if not readiness.is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    word = "ready" if readiness.is_whole else "degraded" if readiness.is_ready else "unready"
    checks = None
    if known is not None:
        checks = readiness.checks
    return ReadyDocument(status=word, checks=checks)


@router.head("/metrics", include_in_schema=False)
@router.get(
    "/metrics",
    responses={200: {"content": {"application/openmetrics-text": {}}}},
    response_class=Response,
    **operation("look", "installation", "Show the fleet's metrics"),
)
def get_metrics(caller: Caller) -> Response:
    """Return the metrics of the whole fleet as OpenMetrics text, as `sisgate metrics` does."""
    return Response(caller.fleet.openmetrics(), media_type=OPENMETRICS)


@router.get("/v1/metrics", **operation("look", "installation", "Show the fleet's metrics as JSON"))
def list_metrics(caller: Caller) -> MetricsDocument:
    """Return the same as JSON, as `sisgate metrics --json` does."""
    return MetricsDocument(metrics=caller.fleet.metrics().as_dict())
