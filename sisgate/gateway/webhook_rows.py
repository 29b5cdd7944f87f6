"""Rows of webhooks and their messages as the gateway tells them."""

from collections.abc import Sequence
from typing import Any

from sisgate.domain.webhook_events import MessageState, WebhookState
from sisgate.gateway.webhook_info import WebhookDelivery, WebhookEvent, WebhookInfo, WebhookTry
from sisgate.ledger.schema import Webhook, WebhookAttempt, WebhookMessage


def facts_of(row: Webhook) -> dict[str, Any]:
    """Return what a webhook is, for the audit log: the URL without what may be secret in it."""
    origin = "/".join(row.url.split("/")[:3]) if row.url else None
    return {
        "events": row.events, "providers": row.providers, "origin": origin,
        "every_app": row.every_app or None, "ordered": row.ordered or None,
    }  # fmt: skip


def info_of(row: Webhook, counts: dict[str, int] | None = None, **more: Any) -> WebhookInfo:
    """Return a webhook; `counts` are its messages by state."""
    counts = counts or {}
    return WebhookInfo(
        id=row.id, app=row.app, url=row.url, events=tuple(row.events),
        providers=tuple(row.providers) if row.providers else None, every_app=row.every_app,
        ordered=row.ordered, note=row.note, state=row.state, reason=row.reason,
        created_at=row.created_at, changed_at=row.changed_at, delivered_at=row.delivered_at,
        failures=row.failures, failing_since=row.failing_since, last_error=row.last_error,
        former_until=row.former_until, cursor=row.last_number,
        waiting=counts.get(MessageState.WAITING, 0) + counts.get(MessageState.SENDING, 0),
        dead=counts.get(MessageState.DEAD, 0), **more,
    )  # fmt: skip


def event_of(row: WebhookMessage) -> WebhookEvent:
    """Return what a message tells."""
    return WebhookEvent(row.number, row.event_id, row.type, row.at, row.data)


def delivery_of(
    webhook: Webhook,
    row: WebhookMessage,
    last: WebhookAttempt | None = None,
    tries: Sequence[WebhookAttempt] = (),
) -> WebhookDelivery:
    """Return what became of a message, with its last attempt and, if asked for, all.

    Its next attempt is not before that of its webhook: while that fails, one event is tried.
    """
    is_due = row.state == MessageState.WAITING and webhook.state == WebhookState.ACTIVE
    next_at = max(row.not_before, webhook.not_before or row.not_before)
    return WebhookDelivery(
        webhook=row.webhook_id, event=event_of(row), state=row.state, attempts=row.attempt,
        next_attempt_at=next_at if is_due else None,
        ended_at=row.ended_at, last=_try(last) if last is not None else None,
        tries=tuple(map(_try, tries)),
    )  # fmt: skip


def _try(row: WebhookAttempt) -> WebhookTry:
    return WebhookTry(row.attempt, row.at, row.elapsed_ms, row.status, row.error, row.address)
