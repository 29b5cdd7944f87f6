"""Operating the fleet: processes, schedules, quarantine, retention, diagnosis."""

from base64 import b64encode
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from sisgate.web.deps import ACTOR, Caller
from sisgate.web.rights import operation
from sisgate.web.schemas.admin import (
    ContentDocument,
    DiagnosisDocument,
    DiagnosisOrder,
    FleetDocument,
    MessageDetails,
    MessagesDocument,
    RequeuedDocument,
    RetentionOrder,
    RetentionResults,
    ScheduleDocument,
    SchedulesDocument,
)
from sisgate.web.schemas.jobs import BulkResult
from sisgate.web.schemas.overview import DashboardDocument
from sisgate.web.schemas.providers import BecauseOrder

router = APIRouter(prefix="/v1", tags=["operations"])

MessageId = Annotated[str, Path(description="The id of a message.", max_length=64)]
ADMIN = partial(operation, "administer", "installation")
LOOK = partial(operation, "look", "installation")
CONTROL = partial(operation, "control", "installation")


@router.get("/fleet", **operation("look", "anywhere", "Show the fleet's processes"))
def get_fleet(
    caller: Caller,
    provider: Annotated[
        list[str] | None, Query(description="What stops jobs of these only. May be repeated.")
    ] = None,
) -> FleetDocument:
    """Return workers and beat by their heartbeats, and what keeps jobs from running."""
    return FleetDocument.of(caller.fleet.liveness(provider))


@router.get("/dashboard", **operation("look", "anywhere", "Show the fleet at a glance"))
def get_dashboard(caller: Caller) -> DashboardDocument:
    """Return what needs attention, backlog, the busiest providers, processes."""
    return DashboardDocument.of(caller.fleet.dashboard())


@router.get("/schedules", **operation("look", "anywhere", "List schedules"))
def list_schedules(caller: Caller) -> SchedulesDocument:
    """Return the schedules that the caller may see, by name."""
    return SchedulesDocument(schedules=caller.schedules.list())


@router.get("/schedules/{name}", **operation("look", "provider of schedule", "Show a schedule"))
def get_schedule(name: str, caller: Caller) -> ScheduleDocument:
    """Return one schedule, with the next start of each of its providers."""
    return ScheduleDocument.of(caller.schedules.get(name))


@router.post(
    "/schedules/{name}/run",
    status_code=202,
    **operation("control", "provider of schedule", "Run a schedule now"),
)
def run_schedule(name: str, caller: Caller, order: BecauseOrder | None = None) -> BulkResult:
    """Enqueue a schedule's syncs, due or not."""
    reason = order.reason if order else None
    return BulkResult(jobs=caller.schedules.run(name, reason=reason))


@router.get("/quarantine", **LOOK("List messages in quarantine"))
def list_quarantine(caller: Caller) -> MessagesDocument:
    """Return the messages that no worker could handle, newest first, without their content."""
    return MessagesDocument(messages=caller.quarantine.list())


@router.get("/quarantine/{message_id}", **LOOK("Show a message"))
def get_message(message_id: MessageId, caller: Caller) -> MessageDetails:
    """Return a message with the outline of its content, which holds no values."""
    return MessageDetails(**caller.quarantine.show(message_id))


@router.post("/quarantine/{message_id}/content", **ADMIN("Read a message"))
def read_message(message_id: MessageId, order: BecauseOrder, caller: Caller) -> ContentDocument:
    """Return the stored beginning of a message. The audit log records the reader."""
    content = caller.quarantine.content(message_id, actor=ACTOR, reason=order.reason)
    return ContentDocument(content=b64encode(content).decode())


@router.post("/quarantine/{message_id}/requeue", **CONTROL("Requeue a message"))
def requeue_message(message_id: MessageId, order: BecauseOrder, caller: Caller) -> RequeuedDocument:
    """Return a message to its queue, for instance after an upgrade."""
    queue = caller.quarantine.requeue(message_id, actor=ACTOR, reason=order.reason)
    return RequeuedDocument(queue=queue)


@router.post(
    "/quarantine/{message_id}/drop", status_code=204, response_class=Response, **CONTROL("Drop it")
)
def drop_message(message_id: MessageId, order: BecauseOrder, caller: Caller) -> None:
    """Delete a message."""
    caller.quarantine.drop(message_id, actor=ACTOR, reason=order.reason)


@router.post("/diagnosis", **operation("control", "installation", "Check the installation"))
def diagnose(order: DiagnosisOrder, caller: Caller) -> DiagnosisDocument:
    """Check configuration, database, Redis, processes, keys and endpoints.

    Of thousands of providers, those that a minute allows are asked, the most suspicious ones first.
    `probe` needs the right to `request` as well.
    """
    return DiagnosisDocument(checks=list(caller.diagnosis.run(order.provider, probe=order.probe)))


@router.get("/retention", **ADMIN("Count what is past its retention"))
def preview_retention(caller: Caller) -> RetentionResults:
    """Return what each rule would delete now. Deletes nothing."""
    return RetentionResults(rules=caller.privacy.retention.preview())


@router.post("/retention/run", **ADMIN("Delete what is past its retention"))
def run_retention(order: RetentionOrder, caller: Caller) -> RetentionResults:
    """Delete it, for at most some seconds for each rule."""
    return RetentionResults(rules=caller.privacy.retention.run(actor=ACTOR, seconds=order.seconds))
