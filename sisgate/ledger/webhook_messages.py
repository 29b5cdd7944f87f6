"""The messages of webhooks: numbering, claiming under a lease, and what became of them.

A claim locks the row of its webhook for a moment. So no two workers take the same message, the
number that is under way at a time is exact, and an ordered stream has one at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from sisgate.domain.webhook_events import UNSENT, MessageState, WebhookState
from sisgate.errors import UnknownMessage
from sisgate.ledger.schema import Webhook, WebhookAttempt, WebhookMessage
from sisgate.ledger.statements import change
from sisgate.ledger.states import is_in

AT_ONCE = 4
"""Messages of one webhook that are under way at a time; one while its receiver fails."""

CHOSEN_AMONG = 20
"""Webhooks that a claim considers: another worker may be about to claim for the first ones."""


@dataclass(frozen=True)
class NewMessage:
    """One event for one webhook."""

    event_id: str
    type: str
    at: datetime
    data: dict[str, Any]
    provider: str | None = None
    resource: str | None = None
    job_id: str | None = None

    @property
    def stream(self) -> str:
        """What an ordered webhook hears of in order."""
        return f"{self.provider or ''}/{self.resource or ''}"


def append(
    session: Session, webhook: Webhook, messages: Sequence[NewMessage], now: datetime
) -> None:
    """Number messages for a webhook, whose row the caller has locked."""
    state = MessageState.KEPT if webhook.url is None else MessageState.WAITING
    rows = []
    for message in messages:
        webhook.last_number += 1
        rows.append(
            {
                "webhook_id": webhook.id, "number": webhook.last_number,
                "event_id": message.event_id, "type": message.type, "at": message.at,
                "data": message.data, "provider": message.provider,
                "resource": message.resource, "job_id": message.job_id,
                "stream": message.stream, "created_at": now, "state": state.value,
                "attempt": 0, "due_since": now, "not_before": now,
            }
        )  # fmt: skip
    if rows:
        session.execute(insert(WebhookMessage), rows)


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


def drop_unsent(session: Session, webhook_id: str, now: datetime) -> int:
    """Give up what is yet to be sent to a webhook; return how many messages that were."""
    unsent = update(WebhookMessage).where(
        WebhookMessage.webhook_id == webhook_id, is_in(WebhookMessage.state, *UNSENT)
    )
    dropped = {"state": MessageState.DROPPED.value, "lease_until": None, "ended_at": now}
    return change(session, unsent.values(dropped))


def send_again(
    session: Session, webhook_id: str, now: datetime, *which: ColumnElement[bool]
) -> int:
    """Let messages that have ended wait to be sent again; return how many."""
    again = update(WebhookMessage).where(
        WebhookMessage.webhook_id == webhook_id,
        ~is_in(WebhookMessage.state, *UNSENT, MessageState.KEPT),
        *which,
    )
    values = {
        "state": MessageState.WAITING.value, "not_before": now, "due_since": now, "ended_at": None,
    }  # fmt: skip
    return change(session, again.values(values))


def is_numbered(number: int) -> ColumnElement[bool]:
    """Return the condition of one message of a webhook."""
    return WebhookMessage.number == number


def is_dead() -> ColumnElement[bool]:
    """Return the condition of dead letters."""
    return is_in(WebhookMessage.state, MessageState.DEAD)


def make_due(session: Session, webhook_id: str, now: datetime) -> None:
    """Let what waits for a webhook be sent now, with a whole day to do so."""
    waiting = update(WebhookMessage).where(
        WebhookMessage.webhook_id == webhook_id, is_in(WebhookMessage.state, MessageState.WAITING)
    )
    change(session, waiting.values(not_before=now, due_since=now))


def keep_unsent(session: Session, webhook_id: str) -> None:
    """Keep what waits for a webhook that has no URL any more, for its app to read."""
    unsent = update(WebhookMessage).where(
        WebhookMessage.webhook_id == webhook_id, is_in(WebhookMessage.state, *UNSENT)
    )
    change(session, unsent.values(state=MessageState.KEPT.value, lease_until=None))


def get(session: Session, webhook_id: str, number: int) -> WebhookMessage:
    """Return a message; `UnknownMessage` where there is none."""
    row = session.get(WebhookMessage, (webhook_id, number))
    if row is None:
        raise unknown(webhook_id, number)
    return row


def unknown(webhook_id: str, number: int) -> UnknownMessage:
    """Return the error for a message that does not exist, or not for who asks."""
    return UnknownMessage(
        f"Webhook {webhook_id} has no event {number}. "
        f"`sisgate webhooks deliveries {webhook_id}` shows those that it has.",
        webhook=webhook_id,
        number=number,
    )


def attempts_of(session: Session, webhook_id: str, number: int) -> Sequence[WebhookAttempt]:
    """Return the attempts to deliver a message, in order."""
    mine = (WebhookAttempt.webhook_id == webhook_id, WebhookAttempt.number == number)
    return session.scalars(
        select(WebhookAttempt).where(*mine).order_by(WebhookAttempt.attempt)
    ).all()


def last_attempts(
    session: Session, messages: Sequence[WebhookMessage]
) -> dict[int, WebhookAttempt]:
    """Return the last attempt of each of a webhook's messages, by number."""
    if not messages:
        return {}
    numbers = [message.number for message in messages]
    query = (
        select(WebhookAttempt)
        .where(
            WebhookAttempt.webhook_id == messages[0].webhook_id, WebhookAttempt.number.in_(numbers)
        )
        .order_by(WebhookAttempt.attempt)
    )
    return {row.number: row for row in session.scalars(query)}


def newest(
    session: Session,
    webhook_id: str,
    *,
    limit: int,
    before: int | None = None,
    state: MessageState | None = None,
) -> Sequence[WebhookMessage]:
    """Return the newest messages, those below the number `before`, in one state or in all."""
    query = select(WebhookMessage).where(WebhookMessage.webhook_id == webhook_id)
    if before is not None:
        query = query.where(WebhookMessage.number < before)
    if state is not None:
        query = query.where(WebhookMessage.state == state.value)
    return session.scalars(query.order_by(WebhookMessage.number.desc()).limit(limit)).all()


def after(session: Session, webhook_id: str, number: int, limit: int) -> Sequence[WebhookMessage]:
    """Return the messages above a number, in order."""
    mine = (WebhookMessage.webhook_id == webhook_id, WebhookMessage.number > number)
    query = select(WebhookMessage).where(*mine).order_by(WebhookMessage.number).limit(limit)
    return session.scalars(query).all()


def oldest_number(session: Session, webhook_id: str) -> int | None:
    """Return the number of the oldest message that is kept; None where there is none."""
    mine = WebhookMessage.webhook_id == webhook_id
    return session.scalar(select(func.min(WebhookMessage.number)).where(mine))


def counts(session: Session, webhook_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return by webhook how many messages are in each state that needs attention."""
    states = (*UNSENT, MessageState.DEAD)
    query = (
        select(WebhookMessage.webhook_id, WebhookMessage.state, func.count())
        .where(WebhookMessage.webhook_id.in_(webhook_ids), is_in(WebhookMessage.state, *states))
        .group_by(WebhookMessage.webhook_id, WebhookMessage.state)
    )
    found: dict[str, dict[str, int]] = {}
    for webhook_id, state, number in session.execute(query):
        found.setdefault(webhook_id, {})[state] = number
    return found
