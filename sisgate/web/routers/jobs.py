"""Jobs: following, waiting for them, and acting on them."""

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response

from sisgate.domain.states import JobState
from sisgate.errors import UsageError
from sisgate.gateway import BulkOutcome, HeldDeletions, Plan, Timeline
from sisgate.gateway.answer import RequestTarget
from sisgate.web.deps import ACTOR, Caller, Common, End, JobId, Purpose
from sisgate.web.identity import bearer_of
from sisgate.web.rights import operation
from sisgate.web.schemas.document import Moment
from sisgate.web.schemas.jobs import (
    AcceptedJob,
    AnswerDocument,
    DeadLetters,
    FoundJob,
    JobDocument,
    JobPage,
    JobsDocument,
    Resolution,
    StatusesOrder,
    WaitsFor,
)
from sisgate.web.schemas.overview import (
    BulkActionOrder,
    BulkReviewDocument,
    BulkRoundOrder,
    DeletionsOrder,
    HeldSyncs,
)
from sisgate.web.schemas.providers import BecauseOrder
from sisgate.web.streams import EVENTS, events_of

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.get("/jobs", **operation("look", "anywhere", "List jobs, newest first"))
def list_jobs(
    caller: Caller,
    state: Annotated[list[JobState] | None, Query(description="May be repeated.")] = None,
    provider: str | None = None,
    resource: str | None = None,
    app: str | None = None,
    q: Annotated[
        str | None,
        Query(
            description="A query instead of the others, such as `state:failed app:x since:2h`.",
            max_length=400,
        ),
    ] = None,
    cursor: Annotated[str | None, Query(description="`next` of the previous page.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> JobPage:
    """Return the jobs that the caller may see, page by page."""
    if q is not None and (state or provider or resource or app):
        raise UsageError("q stands alone: write state:, provider:, resource: and app: in it.")
    if q is not None:
        found = caller.jobs.search(q, after=cursor, limit=limit + 1)
    else:
        found = caller.jobs.list(
            states=state or (), provider=provider, resource=resource, app=app,
            after=cursor, limit=limit + 1,
        )  # fmt: skip
    page = found[:limit]
    following = page[-1].cursor if len(found) > limit else None
    return JobPage(jobs=page, next=following)


@router.get("/dead-letters", **operation("look", "anywhere", "List jobs that were given up"))
def list_dead_letters(
    caller: Caller,
    provider: str | None = None,
    app: str | None = None,
    error: Annotated[str | None, Query(description="The code of the error.")] = None,
    since: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> DeadLetters:
    """Return jobs that were given up and not retried since, the oldest first."""
    letters = caller.jobs.dead(provider=provider, app=app, error=error, since=since, limit=limit)
    return DeadLetters(jobs=letters)


@router.post("/job-statuses", **operation("look", "anywhere", "Show some jobs"))
def list_statuses(order: StatusesOrder, caller: Caller) -> JobsDocument:
    """Return the jobs with these ids that the caller may see."""
    return JobsDocument(jobs=caller.jobs.statuses(order.ids))


@router.get("/jobs/find", **operation("look", "anywhere", "Find a job by its id"))
def find_job(
    caller: Caller, beginning: Annotated[str, Query(min_length=1, max_length=36)]
) -> FoundJob:
    """Return the id of the one visible job whose id begins so; several are a `usage` problem."""
    return FoundJob(id=caller.jobs.find(beginning))


@router.get("/jobs/{job_id}", **operation("look", "job", "Show a job, or wait"))
async def get_job(job_id: JobId, end: End) -> JobDocument:
    """Return a job; with `Prefer: wait=N` once it has ended, or after N seconds as it is then."""
    return JobDocument.of(await end.of(job_id))


@router.get(
    "/jobs/{job_id}/events",
    responses={
        200: {"content": {EVENTS: {}}, "description": "Events `status` and `ended`."},
        204: {"description": "The job has ended, and you have read it. Do not connect again."},
    },
    response_class=Response,
    **operation("look", "job", "Follow a job by server-sent events"),
)
async def follow_job(
    request: Request,
    job_id: JobId,
    caller: Caller,
    shared: Common,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The `id` of the last event read.")
    ] = None,
) -> Response:
    """Send the job now (`status`) and once it has ended (`ended`), then close the stream.

    When the service stops it closes the stream earlier: connect again. It also closes it soon after
    the token is revoked.
    """
    again = partial(caller.for_token, bearer_of(request.scope))
    return await events_of(shared.waiting, caller, again, job_id, last_event_id)


@router.get(
    "/jobs/{job_id}/answer", **operation("read", "provider of job", "Show a request's answer")
)
def get_answer(job_id: JobId, caller: Caller, purpose: Purpose = None) -> AnswerDocument:
    """Return the provider's response to a request. The audit log records the reader."""
    return AnswerDocument.of(caller.answer(job_id, purpose=purpose))


@router.get("/jobs/{job_id}/target", **operation("look", "job", "Show what was requested"))
def get_target(job_id: JobId, caller: Caller) -> RequestTarget:
    """Return method, path and query of a request, as far as the caller may see them."""
    target = caller.jobs.request_target(job_id)
    if target is None:
        return RequestTarget(method=None, path=None, query=None, hidden="it is a sync")
    return target


@router.get("/jobs/{job_id}/forecast", **operation("look", "job", "Forecast a job's times"))
def get_forecast(job_id: JobId, caller: Caller) -> Plan:
    """Return when a job begins and ends, or did."""
    return caller.jobs.expected(job_id)


@router.get("/jobs/{job_id}/timeline", **operation("look", "job", "Tell what happened to a job"))
def get_timeline(job_id: JobId, caller: Caller) -> Timeline:
    """Return its states, calls and attempts in order, and whose fault each wait was."""
    return caller.jobs.timeline(job_id)


@router.get("/held-syncs", **operation("look", "anywhere", "List syncs that are held"))
def list_held_syncs(caller: Caller, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> HeldSyncs:
    """Return the held syncs that no later sync of their dataset has settled, newest first."""
    return HeldSyncs(jobs=caller.jobs.held(limit=limit))


@router.post(
    "/jobs/{job_id}/deletions", **operation("look", "job", "List what a held sync would delete")
)
def list_deletions(job_id: JobId, order: DeletionsOrder, caller: Caller) -> HeldDeletions:
    """Return ids and times of the records, without their data. Another job is a conflict (409)."""
    return caller.jobs.deletions(job_id, **dict(order))


BulkActionName = Annotated[Literal["retry", "cancel"], Path(description="What to do.")]


@router.post(
    "/jobs/bulk/{action}/review",
    **operation("enqueue", "anywhere", "Show what an action on all matching jobs would be done to"),
)
def review_jobs(
    action: BulkActionName, order: BulkActionOrder, caller: Caller
) -> BulkReviewDocument:
    """Return count, states and a sample. Changes nothing."""
    return BulkReviewDocument.of(caller.jobs.review_bulk(action, order.query))


@router.post(
    "/jobs/bulk/{action}", **operation("enqueue", "anywhere", "Retry or cancel all matching jobs")
)
def act_on_jobs(action: BulkActionName, order: BulkRoundOrder, caller: Caller) -> BulkOutcome:
    """Do it for some seconds; `after` of the outcome begins the next round, null says it is done.

    Jobs that have moved, or that the caller may not touch, are left as they are: the conflicts.
    """
    return caller.jobs.run_bulk(action, **dict(order), actor=ACTOR)


@router.get("/jobs/{job_id}/wait", **operation("look", "job", "Say what a job waits for"))
def get_wait(job_id: JobId, caller: Caller) -> WaitsFor:
    """Return what a live job waits for and until when."""
    return WaitsFor(wait=caller.jobs.waits_for(job_id))


@router.post("/jobs/{job_id}/cancel", **operation("enqueue", "job", "Cancel a job"))
def cancel_job(job_id: JobId, caller: Caller, order: BecauseOrder | None = None) -> JobDocument:
    """End a live job. Its calls in flight finish, and their responses are dropped."""
    reason = order.reason if order is not None else None
    return JobDocument.of(caller.jobs.cancel(job_id, actor=ACTOR, reason=reason))


@router.post(
    "/jobs/{job_id}/withdraw",
    **operation("enqueue", "job", "End a request whose caller waits no longer"),
)
def withdraw_job(job_id: JobId, caller: Caller) -> JobDocument:
    """End a live request as its timeout would: `expired`, or `unknown` if it may be carried out."""
    return JobDocument.of(caller.jobs.withdraw(job_id, actor=ACTOR))


@router.post("/jobs/{job_id}/retry", status_code=202, **operation("enqueue", "job", "Retry a job"))
def retry_job(
    job_id: JobId, response: Response, caller: Caller, order: BecauseOrder | None = None
) -> AcceptedJob:
    """Enqueue a failed, expired or cancelled job as a new one; again, it returns the same one."""
    reason = order.reason if order is not None else None
    job = caller.jobs.retry(job_id, actor=ACTOR, reason=reason)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return AcceptedJob.accepted(job, job.status(), None)


@router.post(
    "/jobs/{job_id}/resolve", **operation("enqueue", "job", "Settle a job of unknown outcome")
)
def resolve_job(job_id: JobId, order: Resolution, caller: Caller) -> JobDocument:
    """Settle it as `done`, `failed` or `retry`, which returns the job that retries it."""
    return JobDocument.of(caller.jobs.resolve(job_id, **dict(order), actor=ACTOR))
