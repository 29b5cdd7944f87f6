"""Operating the fleet: processes, schedules, quarantine, retention, the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from sisgate.gateway import AuditEvent, AuditFilter
from sisgate.web.deps import ACTOR, Caller
from sisgate.web.rights import needs
from sisgate.web.schemas.admin import (
    EventDocument,
    EventsDocument,
    FleetDocument,
    MessageDetails,
    MessageDocument,
    MessagesDocument,
    RequeuedDocument,
    RetentionDocument,
    RetentionOrder,
    RetentionResults,
    ScheduleDocument,
    SchedulesDocument,
)
from sisgate.web.schemas.jobs import BulkResult
from sisgate.web.schemas.providers import BecauseOrder
from sisgate.web.streams import JSON_LINES, json_lines

router = APIRouter(prefix="/v1", tags=["operations"])

MessageId = Annotated[str, Path(description="The id of a message.", max_length=64)]
ADMIN = needs("administer", "installation")
LOOK = needs("look", "installation")
CONTROL = needs("control", "installation")


@router.get("/fleet", openapi_extra=needs("look", "anywhere"), summary="Show the fleet's processes")
def get_fleet(caller: Caller) -> FleetDocument:
    """Return workers and beat by their heartbeats, and what keeps jobs from running."""
    return FleetDocument.of(caller.fleet.liveness())


@router.get("/schedules", openapi_extra=needs("look", "anywhere"), summary="List schedules")
def list_schedules(caller: Caller) -> SchedulesDocument:
    """Return the schedules that the caller may see, by name."""
    schedules = caller.schedules.list()
    return SchedulesDocument(schedules=[ScheduleDocument(**each.as_dict()) for each in schedules])


@router.post(
    "/schedules/{name}/run",
    status_code=202,
    openapi_extra=needs("control", "provider of schedule"),
    summary="Run a schedule now",
)
def run_schedule(name: str, caller: Caller) -> BulkResult:
    """Enqueue a schedule's syncs, due or not."""
    return BulkResult.of(caller.schedules.run(name))


@router.get("/quarantine", openapi_extra=LOOK, summary="List messages in quarantine")
def list_quarantine(caller: Caller) -> MessagesDocument:
    """Return the messages that no worker could handle, newest first, without their content."""
    messages = caller.quarantine.list()
    return MessagesDocument(messages=[MessageDocument(**each.as_dict()) for each in messages])


@router.get("/quarantine/{message_id}", openapi_extra=LOOK, summary="Show a message")
def get_message(message_id: MessageId, caller: Caller) -> MessageDetails:
    """Return a message with the outline of its content, which holds no values."""
    return MessageDetails(**caller.quarantine.show(message_id))


@router.post("/quarantine/{message_id}/requeue", openapi_extra=CONTROL, summary="Requeue a message")
def requeue_message(message_id: MessageId, order: BecauseOrder, caller: Caller) -> RequeuedDocument:
    """Return a message to its queue, for instance after an upgrade."""
    queue = caller.quarantine.requeue(message_id, actor=ACTOR, reason=order.reason)
    return RequeuedDocument(queue=queue)


@router.post(
    "/quarantine/{message_id}/drop",
    status_code=204,
    response_class=Response,
    openapi_extra=CONTROL,
    summary="Drop it",
)
def drop_message(message_id: MessageId, order: BecauseOrder, caller: Caller) -> None:
    """Delete a message."""
    caller.quarantine.drop(message_id, actor=ACTOR, reason=order.reason)


@router.get("/retention", openapi_extra=ADMIN, summary="Count what is past its retention")
def preview_retention(caller: Caller) -> RetentionResults:
    """Return what each rule would delete now. Deletes nothing."""
    results = caller.privacy.retention.preview()
    return RetentionResults(rules=[RetentionDocument.of(each) for each in results])


@router.post("/retention/run", openapi_extra=ADMIN, summary="Delete what is past its retention")
def run_retention(order: RetentionOrder, caller: Caller) -> RetentionResults:
    """Delete it, for at most some seconds for each rule."""
    results = caller.privacy.retention.run(actor=ACTOR, seconds=order.seconds)
    return RetentionResults(rules=[RetentionDocument.of(each) for each in results])


async def _filter(
    actor: str | None = None,
    action: Annotated[str | None, Query(description="An action, or its beginning.")] = None,
    subject: str | None = None,
    provider: str | None = None,
    job: str | None = None,
    request_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> AuditFilter:
    return AuditFilter(
        actor=actor, action=action, subjects=[subject] if subject else (), provider=provider,
        job=job, request_id=request_id, since=since, until=until,
    )  # fmt: skip


Wanted = Annotated[AuditFilter, Depends(_filter)]


@router.get("/audit/events", openapi_extra=ADMIN, summary="Show the newest audit events")
def list_events(
    caller: Caller, wanted: Wanted, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> EventsDocument:
    """Return the newest events that match, newest first."""
    events = caller.audit.tail(wanted, limit=limit)
    return EventsDocument(events=[EventDocument.of(each) for each in events])


@router.get(
    "/audit/search",
    openapi_extra=ADMIN,
    responses={200: {"content": {JSON_LINES: {}}, "description": "One event a line."}},
    response_class=Response,
    summary="Stream audit events",
)
async def search_events(caller: Caller, wanted: Wanted) -> Response:
    """Stream all events that match, oldest first."""
    events = await run_in_threadpool(caller.audit.search, wanted)
    return await json_lines(events, _event, {})


def _event(event: AuditEvent) -> dict[str, object]:
    return EventDocument.of(event).model_dump(mode="json")
