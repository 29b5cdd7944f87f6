"""The messages of webhooks: numbering, reading, sending again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.orm import Session

from sisgate.domain.webhook_events import UNSENT, MessageState
from sisgate.errors import UnknownMessage
from sisgate.ledger.schema import Webhook, WebhookAttempt, WebhookMessage
from sisgate.ledger.statements import change
from sisgate.ledger.states import is_in


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


def message_of(row: WebhookMessage) -> NewMessage:
    """Return a message as it was before it was numbered."""
    return NewMessage(
        row.event_id, row.type, row.at, row.data, row.provider, row.resource, row.job_id
    )


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
