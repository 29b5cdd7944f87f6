"""Webhooks in the ledger, what they want to hear of, and the outbox that tells it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, insert, or_, select
from sqlalchemy.orm import Session

from sisgate.domain.webhook_events import ANY_APP, Topic, WebhookState, interests_of
from sisgate.errors import UnknownWebhook
from sisgate.ledger.schema import (
    Dataset,
    Job,
    ProviderCondition,
    Webhook,
    WebhookInterest,
    WebhookOutbox,
)
from sisgate.ledger.statements import change, lock_or_make

FAILING = 3
"""After so many failures in a row, a webhook is not merely late."""

HEARING = (WebhookState.ACTIVE, WebhookState.PAUSED)
"""The states of webhooks that events are kept for."""


def of_app(session: Session, app: str | None) -> Sequence[Webhook]:
    """Return the webhooks of an app, or with None of all apps, in order of their creation."""
    query = select(Webhook).order_by(Webhook.created_at, Webhook.id)
    return session.scalars(query if app is None else query.where(Webhook.app == app)).all()


def failing(session: Session) -> Sequence[Webhook]:
    """Return the webhooks that are not delivered: paused, or failing again and again."""
    is_paused = Webhook.state == WebhookState.PAUSED.value
    is_tried = Webhook.state == WebhookState.ACTIVE.value
    query = select(Webhook).where(or_(is_paused, is_tried & (Webhook.failures >= FAILING)))
    return session.scalars(query.order_by(Webhook.created_at, Webhook.id)).all()


def count_of(session: Session, app: str) -> int:
    """Return how many webhooks an app has."""
    return session.scalar(select(func.count()).where(Webhook.app == app)) or 0


def get(session: Session, webhook_id: str) -> Webhook:
    """Return a webhook; `UnknownWebhook` where there is none."""
    row = session.get(Webhook, webhook_id)
    if row is None:
        raise unknown(webhook_id)
    return row


def lock(session: Session, webhook_id: str) -> Webhook:
    """Return a webhook, locked until the transaction ends; `UnknownWebhook` where there is none."""
    query = select(Webhook).where(Webhook.id == webhook_id).with_for_update()
    row = session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise unknown(webhook_id)
    return row


def unknown(webhook_id: str) -> UnknownWebhook:
    """Return the error for a webhook that does not exist, or not for who asks."""
    return UnknownWebhook(
        f"There is no webhook {webhook_id}. `sisgate webhooks list` shows those that exist.",
        webhook=webhook_id,
    )


def lock_hearing(session: Session) -> Sequence[Webhook]:
    """Return the webhooks that events are kept for, locked until the transaction ends."""
    is_hearing = Webhook.state.in_(HEARING)
    return session.scalars(
        select(Webhook)
        .where(is_hearing)
        .order_by(Webhook.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def set_interests(session: Session, row: Webhook) -> None:
    """Make the outbox hold what a webhook wants to hear of; nothing for one that has ended."""
    session.flush()
    session.execute(delete(WebhookInterest).where(WebhookInterest.webhook_id == row.id))
    if row.state not in HEARING:
        return
    wanted = interests_of(row.events, row.app, every_app=row.every_app)
    rows = [{"topic": topic, "app": app, "webhook_id": row.id} for topic, app in wanted]
    session.execute(insert(WebhookInterest), rows)


def remove(session: Session, row: Webhook) -> None:
    """Delete a webhook with all its messages."""
    change(session, delete(Webhook).where(Webhook.id == row.id))


def is_wanted(session: Session, topic: Topic, app: str | None = None) -> bool:
    """Return whether any webhook hears of a topic, or of that of an app."""
    wanted = select(WebhookInterest.topic).where(WebhookInterest.topic == topic)
    if app is not None:
        wanted = wanted.where(WebhookInterest.app.in_((app, ANY_APP)))
    return bool(session.scalar(select(exists(wanted))))


def tell(
    session: Session,
    topic: Topic,
    now: datetime,
    *,
    app: str | None = None,
    provider: str | None = None,
    state: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Put what has happened into the outbox, if anybody wants to hear of it."""
    if is_wanted(session, topic, app):
        session.add(
            WebhookOutbox(
                topic=topic.value, at=now, app=app, provider=provider, state=state,
                data=dict(data or {}),
            )
        )  # fmt: skip


def has_news(session: Session) -> bool:
    """Return whether the outbox holds anything."""
    return session.scalar(select(WebhookOutbox.id).limit(1)) is not None


def lock_news(session: Session, limit: int) -> Sequence[WebhookOutbox]:
    """Return the oldest rows of the outbox, locked until the transaction ends."""
    query = select(WebhookOutbox).order_by(WebhookOutbox.id).limit(limit).with_for_update()
    return session.scalars(query).all()


def forget_news(session: Session, ids: Sequence[int]) -> None:
    """Delete rows of the outbox."""
    session.execute(delete(WebhookOutbox).where(WebhookOutbox.id.in_(ids)))


def jobs_by_id(session: Session, ids: Iterable[str]) -> dict[str, Job]:
    """Return the jobs that exist."""
    return {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(set(ids))))}


def cursors(session: Session, providers: Iterable[str]) -> dict[tuple[str, str], int]:
    """Return the number of the last change of each dataset of these providers."""
    columns = (Dataset.provider, Dataset.resource, Dataset.last_sequence)
    rows = session.execute(select(*columns).where(Dataset.provider.in_(set(providers))))
    return {(provider, resource): last for provider, resource, last in rows}


def conditions(session: Session) -> dict[str, ProviderCondition]:
    """Return the condition of each provider when it was last looked at."""
    return {row.provider: row for row in session.scalars(select(ProviderCondition))}


def lock_condition(
    session: Session, provider: str, condition: str, now: datetime
) -> ProviderCondition:
    """Return the noted condition of a provider, locked; a new one begins as `condition`."""
    return lock_or_make(
        session, ProviderCondition, provider=provider, condition=condition, since=now
    )


def forget_conditions(session: Session, providers: Iterable[str] | None = None) -> None:
    """Delete the conditions of providers, or of all."""
    query = delete(ProviderCondition)
    if providers is not None:
        query = query.where(ProviderCondition.provider.in_(set(providers)))
    session.execute(query)
