"""What is ordered: syncs and requests, one or many, whose jobs are accepted."""

from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from sisgate.errors import InvalidState
from sisgate.gateway import Answer
from sisgate.web.answering import Answering
from sisgate.web.deps import Caller, Common, End, IdempotencyKey, Purpose
from sisgate.web.rights import operation
from sisgate.web.schemas.jobs import AcceptedJob, AnswerDocument, BulkResult, ManySyncsResult
from sisgate.web.schemas.orders import (
    AnswerOrder,
    BulkOrder,
    ManySyncsOrder,
    RequestOrder,
    SyncOrder,
)
from sisgate.web.waiting import until_gone

router = APIRouter(prefix="/v1", tags=["jobs"])

_ENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": AcceptedJob, "description": "The job ended while the caller waited."}
}


@router.post(
    "/syncs",
    status_code=202,
    responses=_ENDED,
    **operation("enqueue", "dataset", "Accept a sync of one dataset"),
)
async def create_sync(
    order: SyncOrder, caller: Caller, key: IdempotencyKey, end: End
) -> AcceptedJob:
    """Accept a sync and answer 202 with its job, or 200 once it has ended (`Prefer: wait=N`)."""
    job = await run_in_threadpool(caller.sync, **order.arguments(key))
    return AcceptedJob.accepted(job, await end.of_accepted(job.id), None)


@router.post(
    "/requests",
    status_code=202,
    responses=_ENDED,
    **operation("request", "provider", "Accept one call to a provider"),
)
async def create_request(
    order: RequestOrder, caller: Caller, key: IdempotencyKey, end: End, purpose: Purpose = None
) -> AcceptedJob:
    """Accept a call and answer 202 with its job, or 200 once it has ended (`Prefer: wait=N`).

    A job that has ended by then comes with its `answer`, if the provider gave one.
    """
    job = await run_in_threadpool(caller.enqueue_request, **order.arguments(key))
    status = await end.of_accepted(job.id)
    answer = None
    if end.preference.wait_seconds and status.is_final:
        with suppress(InvalidState):  # none came
            answer = await run_in_threadpool(job.answer, purpose=purpose)
    return AcceptedJob.accepted(job, status, answer)


@router.post(
    "/answers",
    response_model=AnswerDocument,
    responses={202: {"model": AcceptedJob, "description": "The job goes on."}},
    **operation("request", "provider", "Make one call to a provider and wait for its answer"),
)
async def make_request(
    order: AnswerOrder,
    request: Request,
    caller: Caller,
    shared: Common,
    key: IdempotencyKey,
    purpose: Purpose = None,
) -> AnswerDocument | Response:
    """Make a call and return the provider's response, whatever its status.

    After `timeout` seconds it is withdrawn (`job_expired`). A job that goes on after the longest
    wait of the service, or because an earlier request created it, answers 202.
    """
    answering = Answering(caller, shared.waiting, shared.config.longest_wait_seconds)
    found = await answering.answer(order.order(key), order.timeout, purpose, until_gone(request))
    if isinstance(found, Answer):
        return AnswerDocument.of(found)
    status = await run_in_threadpool(found.status)
    place = {"Location": f"/v1/jobs/{found.id}"}
    body = AcceptedJob.accepted(found, status, None).model_dump(mode="json")
    return JSONResponse(body, 202, place)


@router.post(
    "/jobs",
    status_code=202,
    **operation("enqueue", "dataset", "Accept many jobs at once, all or none"),
)
def create_jobs(order: BulkOrder, caller: Caller) -> BulkResult:
    """Accept up to 10,000 syncs and requests in one transaction.

    A problem has the `index` of the item that is wrong.
    """
    return BulkResult(jobs=caller.enqueue([each.order() for each in order.items]))


@router.post(
    "/syncs/many",
    status_code=202,
    **operation("enqueue", "dataset", "Accept syncs of many providers"),
)
def create_many_syncs(
    order: ManySyncsOrder, caller: Caller, key: IdempotencyKey
) -> ManySyncsResult:
    """Accept a sync of each dataset that the caller may sync.

    One that is refused keeps no other from being accepted.
    """
    return ManySyncsResult(syncs=caller.sync_many(**order.arguments(key)))
