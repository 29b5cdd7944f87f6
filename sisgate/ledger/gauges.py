"""What the metrics read of the ledger: how much there is, and how old it is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from sisgate.domain.states import (
    LIVE_JOB_STATES,
    UNSUCCESSFUL_JOB_STATES,
    CallState,
    JobState,
    KeyState,
)
from sisgate.domain.webhook_events import UNSENT
from sisgate.ledger.schema import AuditSeal, Call, Dataset, Job, Key, Webhook, WebhookMessage
from sisgate.ledger.states import is_in

MANY_JOBS = 100_000


def jobs_are_many(session: Session) -> bool:
    """Return whether there are so many jobs that counting all takes noticeable time."""
    return session.scalar(select(Job.id).offset(MANY_JOBS).limit(1)) is not None


def jobs(session: Session) -> Sequence[Row[str, str, int]]:
    """Return how many jobs there are by provider and state, without those that are done."""
    query = select(Job.provider, Job.state, func.count()).group_by(Job.provider, Job.state)
    return [
        row
        for some in (LIVE_JOB_STATES, UNSUCCESSFUL_JOB_STATES)
        for row in session.execute(query.where(is_in(Job.state, *some)))
    ]


def jobs_done(session: Session) -> Sequence[Row[str, int]]:
    """Return how many jobs of each provider are done."""
    query = select(Job.provider, func.count()).where(Job.state == JobState.DONE)
    return session.execute(query.group_by(Job.provider)).all()


def dead_letters(session: Session) -> Sequence[Row[str, int]]:
    """Return how many jobs of each provider were given up, and not repeated."""
    is_dead = Job.dead & Job.retried_as.is_(None)
    query = select(Job.provider, func.count()).where(is_dead)
    return session.execute(query.group_by(Job.provider)).all()


def shared(session: Session) -> Sequence[Row[str, int]]:
    """Return how many requests the jobs of each provider answered besides their own."""
    query = select(Job.provider, func.sum(Job.shared)).where(Job.shared > 0)
    return session.execute(query.group_by(Job.provider)).all()


def oldest_waiting(session: Session) -> Sequence[Row[str, int, datetime | None]]:
    """Return when the call was published that waits longest, by provider and priority."""
    query = select(Call.provider, Call.priority, func.min(Call.published_at))
    query = query.where(is_in(Call.state, CallState.QUEUED), Call.published_at.is_not(None))
    return session.execute(query.group_by(Call.provider, Call.priority)).all()


def datasets(session: Session) -> Sequence[Row[str, str, datetime | None, int]]:
    """Return each dataset with when it was last read, and the number of its newest change."""
    columns = (Dataset.provider, Dataset.resource, Dataset.synced_at, Dataset.last_sequence)
    return session.execute(select(*columns)).all()


def keys(session: Session) -> Sequence[Row[str, str, str, datetime | None]]:
    """Return provider, slot, state and expiry of the keys that have not ended."""
    ended = [state.value for state in KeyState if state.is_final]
    query = select(Key.provider, Key.slot, Key.state, Key.expires_at)
    return session.execute(query.where(Key.state.not_in(ended))).all()


def sealed_at(session: Session) -> datetime | None:
    """Return when the audit log was last sealed, None for never."""
    return session.scalar(select(AuditSeal.at).order_by(AuditSeal.number.desc()).limit(1))


def webhooks(session: Session) -> Sequence[Row[str, int]]:
    """Return how many webhooks there are by state."""
    query = select(Webhook.state, func.count())
    return session.execute(query.group_by(Webhook.state)).all()


def webhook_messages(session: Session) -> int:
    """Return how many messages of webhooks are yet to be sent."""
    waiting: Any = is_in(WebhookMessage.state, *UNSENT)
    return session.scalar(select(func.count()).where(waiting)) or 0
