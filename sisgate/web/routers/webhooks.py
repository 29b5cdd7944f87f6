"""Webhooks of apps: an app has its own, operators those of all apps."""

from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from sisgate.domain.webhook_events import MessageState
from sisgate.web.deps import ACTOR, Because, Caller
from sisgate.web.rights import operation
from sisgate.web.schemas.providers import BecauseOrder
from sisgate.web.schemas.webhooks import (
    DeliveriesDocument,
    DeliveryDocument,
    RedeliveredDocument,
    RedeliveryOrder,
    SecretOrder,
    WebhookChange,
    WebhookDocument,
    WebhookEventsDocument,
    WebhookOrder,
    WebhooksDocument,
)

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

WebhookId = Annotated[str, Path(description="The id of a webhook.", max_length=20)]
Number = Annotated[int, Path(description="The number of an event of the webhook.", ge=1, le=2**53)]
Limit = Annotated[int, Query(ge=1, le=1000)]
OWN = partial(operation, "enqueue", "anywhere")


@router.get("", **OWN("List webhooks"))
def list_webhooks(
    caller: Caller, app: Annotated[str | None, Query(max_length=100)] = None
) -> WebhooksDocument:
    """Return the caller's webhooks; for operators those of `app`, or of all apps."""
    return WebhooksDocument(webhooks=caller.webhooks.list(app=app))


@router.post("", status_code=201, **OWN("Create a webhook"))
def add_webhook(order: WebhookOrder, caller: Caller) -> WebhookDocument:
    """Create a webhook; its secret is in this answer only."""
    return WebhookDocument.of(caller.webhooks.add(**dict(order), actor=ACTOR))


@router.get("/{webhook_id}", **OWN("Show a webhook"))
def get_webhook(webhook_id: WebhookId, caller: Caller) -> WebhookDocument:
    """Return a webhook and how it fares."""
    return WebhookDocument.of(caller.webhooks.show(webhook_id))


@router.patch("/{webhook_id}", **OWN("Change a webhook"))
def edit_webhook(webhook_id: WebhookId, order: WebhookChange, caller: Caller) -> WebhookDocument:
    """Change what is given; empty `providers` stand for all that the app may see."""
    return WebhookDocument.of(caller.webhooks.edit(webhook_id, **dict(order), actor=ACTOR))


@router.delete("/{webhook_id}", status_code=204, response_class=Response, **OWN("Remove a webhook"))
def remove_webhook(webhook_id: WebhookId, caller: Caller, reason: Because = None) -> None:
    """Delete a webhook with its events and their log."""
    caller.webhooks.remove(webhook_id, actor=ACTOR, reason=reason)


@router.post("/{webhook_id}/pause", **OWN("Pause a webhook"))
def pause_webhook(webhook_id: WebhookId, order: BecauseOrder, caller: Caller) -> WebhookDocument:
    """Send nothing until it is resumed; events are kept."""
    return WebhookDocument.of(caller.webhooks.pause(webhook_id, **dict(order), actor=ACTOR))


@router.post("/{webhook_id}/resume", **OWN("Resume a webhook"))
def resume_webhook(webhook_id: WebhookId, order: BecauseOrder, caller: Caller) -> WebhookDocument:
    """Send again, also what was kept meanwhile."""
    return WebhookDocument.of(caller.webhooks.resume(webhook_id, **dict(order), actor=ACTOR))


@router.post("/{webhook_id}/secret", **OWN("Replace a webhook's secret"))
def rotate_webhook_secret(
    webhook_id: WebhookId, order: SecretOrder, caller: Caller
) -> WebhookDocument:
    """Replace the secret; the new one is in this answer only."""
    hook = caller.webhooks.rotate_secret(
        webhook_id, overlap=timedelta(hours=order.overlap_hours), actor=ACTOR, reason=order.reason
    )
    return WebhookDocument.of(hook)


@router.post("/{webhook_id}/test", status_code=202, **OWN("Send a test event"))
def test_webhook(webhook_id: WebhookId, caller: Caller) -> DeliveryDocument:
    """Send an event of the type `webhook.test`; its delivery tells what becomes of it."""
    return DeliveryDocument.of(caller.webhooks.test(webhook_id, actor=ACTOR))


@router.get("/{webhook_id}/deliveries", **OWN("List a webhook's deliveries"))
def list_deliveries(
    webhook_id: WebhookId,
    caller: Caller,
    state: MessageState | None = None,
    limit: Limit = 50,
    before: Annotated[
        int | None, Query(ge=1, le=2**53, description="Only events below this number.")
    ] = None,
) -> DeliveriesDocument:
    """Return the newest events and what became of them."""
    found = caller.webhooks.deliveries(webhook_id, state=state, limit=limit, before=before)
    return DeliveriesDocument(deliveries=found)


@router.get("/{webhook_id}/deliveries/{number}", **OWN("Show a delivery"))
def get_delivery(webhook_id: WebhookId, number: Number, caller: Caller) -> DeliveryDocument:
    """Return one event with all attempts to deliver it."""
    return DeliveryDocument.of(caller.webhooks.delivery(webhook_id, number))


@router.post("/{webhook_id}/redeliver", status_code=202, **OWN("Send events again"))
def redeliver_events(
    webhook_id: WebhookId, order: RedeliveryOrder, caller: Caller
) -> RedeliveredDocument:
    """Send one event again, or all dead letters. They keep their ids."""
    count = caller.webhooks.redeliver(webhook_id, **dict(order), actor=ACTOR)
    return RedeliveredDocument(webhook=webhook_id, events=count)


@router.get("/{webhook_id}/events", **OWN("Read a webhook's events"))
def list_webhook_events(
    webhook_id: WebhookId,
    caller: Caller,
    after: Annotated[int, Query(ge=0, le=2**53, description="The cursor.")] = 0,
    limit: Limit = 100,
) -> WebhookEventsDocument:
    """Return the events above a cursor, in order, for apps that nobody can send to.

    A cursor whose events are gone is a `cursor_too_old` (410).
    """
    return WebhookEventsDocument.of(caller.webhooks.events(webhook_id, after=after, limit=limit))
