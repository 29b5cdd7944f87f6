"""Claiming the messages of webhooks under a lease, and noting what became of them.

A claim locks the row of its webhook for a moment. So no two workers take the same message, the
number that is under way at a time is exact, and an ordered stream has one at most.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from sisgate.domain.webhook_events import UNSENT, MessageState, WebhookState
from sisgate.ledger.schema import Webhook, WebhookMessage
from sisgate.ledger.statements import change
from sisgate.ledger.states import is_in

AT_ONCE = 4
"""Messages of one webhook that are under way at a time; one while its receiver fails."""

CHOSEN_AMONG = 20
"""Webhooks that a claim considers: another worker may be about to claim for the first ones."""


def claim(
    session: Session, now: datetime, lease: timedelta
) -> tuple[Webhook, WebhookMessage] | None:
    """Claim the message that is due longest of the webhook that was served longest ago.

    Both rows are locked until the transaction ends. None where nothing is due.
    """
    for webhook_id in session.scalars(_with_due(now).limit(CHOSEN_AMONG)).all():
        webhook = session.scalar(
            select(Webhook)
            .where(Webhook.id == webhook_id)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
        if webhook is None:
            continue  # another worker is about to claim for it
        # Asked again of the locked row: the worker that had it may have claimed the last one.
        if session.scalar(_with_due(now).where(Webhook.id == webhook_id)) is None:
            continue
        message = session.scalar(_due(webhook, now).limit(1))
        if message is None:
            continue
        message.state = MessageState.SENDING.value
        message.attempt += 1
        message.lease_until = now + lease
        webhook.tried_at = now
        return webhook, message
    return None


def _with_due(now: datetime) -> Select[Any]:
    """Select the ids of the webhooks that a message may be claimed of."""
    under_way = (
        select(func.count())
        .select_from(WebhookMessage)
        .where(
            WebhookMessage.webhook_id == Webhook.id,
            is_in(WebhookMessage.state, MessageState.SENDING),
            WebhookMessage.lease_until > now,
        )
        .scalar_subquery()
    )
    has_waiting = exists().where(
        WebhookMessage.webhook_id == Webhook.id,
        is_in(WebhookMessage.state, MessageState.WAITING),
        WebhookMessage.not_before <= now,
    )
    return (
        select(Webhook.id)
        .where(
            Webhook.state == WebhookState.ACTIVE.value,
            Webhook.url.is_not(None),
            or_(Webhook.not_before.is_(None), Webhook.not_before <= now),
            or_(has_waiting, exists().where(*_lost(now))),
            under_way < case((Webhook.failures > 0, 1), else_=AT_ONCE),
        )
        .order_by(Webhook.tried_at.nulls_first(), Webhook.id)
    )


def _lost(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Conditions of a webhook's messages whose worker is gone."""
    return (
        WebhookMessage.webhook_id == Webhook.id,
        is_in(WebhookMessage.state, MessageState.SENDING),
        WebhookMessage.lease_until <= now,
    )


def _due(webhook: Webhook, now: datetime) -> Select[Any]:
    is_waiting = and_(
        is_in(WebhookMessage.state, MessageState.WAITING), WebhookMessage.not_before <= now
    )
    is_lost = and_(
        is_in(WebhookMessage.state, MessageState.SENDING), WebhookMessage.lease_until <= now
    )
    query = select(WebhookMessage).where(
        WebhookMessage.webhook_id == webhook.id, or_(is_waiting, is_lost)
    )
    if webhook.ordered:
        earlier = aliased(WebhookMessage)
        query = query.where(
            ~exists().where(
                earlier.webhook_id == webhook.id,
                earlier.stream == WebhookMessage.stream,
                earlier.number < WebhookMessage.number,
                is_in(earlier.state, *UNSENT),
            )
        )
    return query.order_by(WebhookMessage.not_before, WebhookMessage.number)


def settle(
    session: Session,
    message: WebhookMessage,
    state: MessageState,
    now: datetime,
    *,
    not_before: datetime | None = None,
) -> bool:
    """End a claim, or let its message wait; False if another worker has claimed it since."""
    values: dict[str, Any] = {"state": state.value, "lease_until": None}
    if state is MessageState.WAITING:
        values["not_before"] = not_before or now
    else:
        values["ended_at"] = now
    mine = update(WebhookMessage).where(
        WebhookMessage.webhook_id == message.webhook_id,
        WebhookMessage.number == message.number,
        WebhookMessage.attempt == message.attempt,
        is_in(WebhookMessage.state, MessageState.SENDING),
    )
    return change(session, mine.values(values)) == 1


def has_due(session: Session, now: datetime) -> bool:
    """Return whether a claim may find something."""
    return session.scalar(_with_due(now).limit(1)) is not None
