"""The audit log: reading it, proving it whole, taking it away."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from starlette.concurrency import run_in_threadpool

from sisgate.gateway import AuditEvent, AuditFilter
from sisgate.web.deps import Caller, Common
from sisgate.web.rights import operation
from sisgate.web.schemas.audit import (
    EventDocument,
    EventsDocument,
    NewestHeadDocument,
    PublicKeysDocument,
    SealedDocument,
    VerificationDocument,
)
from sisgate.web.schemas.document import Moment
from sisgate.web.streams import JSON_LINES

router = APIRouter(prefix="/v1/audit", tags=["audit"])

ACTOR = "A name, with whichever token and as an app, or exactly what the log has."

ADMIN = partial(operation, "administer", "installation")


async def _filter(
    actor: Annotated[str | None, Query(description=ACTOR)] = None,
    action: Annotated[str | None, Query(description="An action, or its beginning.")] = None,
    subject: Annotated[list[str] | None, Query(description="May be repeated.")] = None,
    provider: str | None = None,
    job: Annotated[str | None, Query(description="A job's id, or its beginning.")] = None,
    request_id: str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> AuditFilter:
    return AuditFilter(
        actor=actor, action=action, subjects=subject or (), provider=provider,
        job=job, request_id=request_id, since=since, until=until,
    )  # fmt: skip


Wanted = Annotated[AuditFilter, Depends(_filter)]


@router.get("/events", **ADMIN("Show the newest audit events"))
def list_events(
    caller: Caller, wanted: Wanted, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> EventsDocument:
    """Return the newest events that match, newest first."""
    return EventsDocument(events=caller.audit.tail(wanted, limit=limit))


@router.get(
    "/search",
    responses={200: {"content": {JSON_LINES: {}}, "description": "One event a line."}},
    response_class=Response,
    **ADMIN("Stream audit events"),
)
async def search_events(caller: Caller, shared: Common, wanted: Wanted) -> Response:
    """Stream all events that match, oldest first."""
    found = await run_in_threadpool(caller.audit.search, wanted)
    return await shared.streams.json(caller, found, _event)


@router.post("/verify", **ADMIN("Verify the audit log"))
def verify_audit_log(caller: Caller) -> VerificationDocument:
    """Check every event, seal and link, and the end of the log against the configured heads."""
    return VerificationDocument.of(caller.audit.verify())


@router.post(
    "/export",
    responses={200: {"content": {JSON_LINES: {}}, "description": "The signed log."}},
    response_class=Response,
    **ADMIN("Export the audit log"),
)
async def export_audit_log(caller: Caller, shared: Common) -> Response:
    """Seal new events, then stream the whole log with its seals, head and signature.

    `sisgate audit verify FILE` checks what was saved, with public keys alone.
    """
    return await shared.streams.text(caller, await run_in_threadpool(caller.audit.export))


@router.post("/seal", **ADMIN("Seal new events"))
def seal_audit_log(caller: Caller) -> SealedDocument:
    """Seal new events now; workers do so every second."""
    return SealedDocument(seal=caller.audit.seal())


@router.get("/head", **ADMIN("Show the head of the audit log"))
def get_audit_head(caller: Caller) -> NewestHeadDocument:
    """Return the signed head of the newest seal, to keep on another system."""
    return NewestHeadDocument(head=caller.audit.head())


@router.get("/public-keys", **ADMIN("Show the public audit keys"))
def list_public_keys(caller: Caller) -> PublicKeysDocument:
    """Return what an auditor needs to verify an export."""
    return PublicKeysDocument(keys=caller.audit.public_keys())


def _event(event: AuditEvent) -> dict[str, object]:
    return EventDocument.of(event).model_dump(mode="json")
