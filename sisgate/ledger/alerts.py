"""Alerts in the ledger: their states, silences, and the messages that are to be sent."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from sisgate.domain.alert_states import (
    LIVE_ALERT_STATES,
    AlertMessageState,
    AlertSeverity,
    AlertState,
)
from sisgate.ledger.schema import Alert, AlertEvaluation, AlertMessage, AlertSilence
from sisgate.ledger.statements import change, insert_into
from sisgate.ledger.states import is_in

EVALUATION = "alerts"


def open_or_recent(session: Session, since: datetime) -> Sequence[Alert]:
    """Return the alerts that have not ended, those that ended since a time or untold."""
    recent = (Alert.state == AlertState.RESOLVED) & (Alert.changed_at >= since)
    is_live = is_in(Alert.state, *LIVE_ALERT_STATES)
    is_owed = is_in(Alert.told, AlertState.FIRING)
    return session.scalars(
        select(Alert)
        .where(or_(is_live, recent, is_owed))
        .order_by(Alert.changed_at)
        .execution_options(populate_existing=True)
    ).all()


def live(session: Session) -> Sequence[Row[str, str, str, int]]:
    """Return how many alerts have not ended, by rule, state and severity."""
    query = select(Alert.rule, Alert.state, Alert.severity, func.count())
    is_live = is_in(Alert.state, *LIVE_ALERT_STATES)
    return session.execute(query.where(is_live).group_by(*query.selected_columns[:3])).all()


def find(
    session: Session,
    *,
    states: Collection[AlertState] = (),
    provider: str | None,
    among: Collection[str] | None,
    app: str | None,
    limit: int,
) -> Sequence[Alert]:
    """Return alerts, the worst first, then those that have ended, the newest first of each.

    `among` are the providers that are asked about, besides what is about none; None for all. `app`
    is the only one of which what fails at an app itself is told; None for all.
    """
    ranks = [(Alert.severity == each.value, each.rank) for each in AlertSeverity]
    rank = case((Alert.state == AlertState.RESOLVED, -1), *ranks)
    query = select(Alert).order_by(rank.desc(), Alert.changed_at.desc(), Alert.id).limit(limit)
    if states:
        query = query.where(Alert.state.in_(states))
    if provider is not None:
        query = query.where(Alert.provider == provider)
    if among is not None:
        query = query.where(or_(Alert.provider.is_(None), Alert.provider.in_(among)))
    if app is not None:
        named = Alert.evidence["app"].as_string()
        query = query.where(or_(Alert.provider.is_not(None), named.is_(None), named == app))
    return session.scalars(query).all()


def beginning(session: Session, start: str, *, lock: bool = False) -> Sequence[Alert]:
    """Return at most two alerts whose ids begin so."""
    query = select(Alert).where(Alert.id.startswith(start, autoescape=True)).limit(2)
    return session.scalars(query.with_for_update() if lock else query).all()


def take_slot(session: Session, slot: int, seen: int | None, now: datetime) -> bool:
    """Note that a slot is evaluated; False if it, or a later one, was before.

    Also if any was written since `seen`, the last one when the alerts were read; None for none.
    """
    if seen is None:
        first = insert_into(session, AlertEvaluation).values(name=EVALUATION, slot=slot, at=now)
        taken = first.on_conflict_do_nothing().returning(AlertEvaluation.slot)
        return session.scalar(taken) is not None
    if slot <= seen:
        return False
    mine = update(AlertEvaluation).where(
        AlertEvaluation.name == EVALUATION, AlertEvaluation.slot == seen
    )
    return change(session, mine.values(slot=slot, at=now)) == 1


def last_evaluation(session: Session) -> AlertEvaluation | None:
    """Return the last slot whose evaluation changed something, None before the first."""
    return session.get(AlertEvaluation, EVALUATION)


def store(session: Session, row: Alert | None, values: Mapping[str, Any]) -> None:
    """Write an alert, new or known."""
    if row is None:
        session.add(Alert(**values))
        return
    for name, value in values.items():
        setattr(row, name, value)


def forget(session: Session, ids: Collection[str]) -> None:
    """Delete alerts that never fired."""
    if ids:
        change(session, delete(Alert).where(Alert.id.in_(ids)))


def silences(session: Session, now: datetime) -> Sequence[AlertSilence]:
    """Return the silences in force, the first to end first."""
    query = select(AlertSilence).where(AlertSilence.until > now)
    return session.scalars(query.order_by(AlertSilence.until)).all()


def enqueue(
    session: Session, messages: Iterable[Mapping[str, Any]], now: datetime
) -> Sequence[int]:
    """Put messages into the outbox; return their numbers."""
    state = AlertMessageState.WAITING.value
    rows = [AlertMessage(**each, created_at=now, not_before=now, state=state) for each in messages]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def _head_of(*conditions: Any) -> Any:
    """Return the query for the oldest message that waits, by channel: they arrive in order."""
    return select(func.min(AlertMessage.id)).where(_waiting(), *conditions)


def _waiting() -> Any:
    return is_in(AlertMessage.state, AlertMessageState.WAITING)


def _due(now: datetime) -> Any:
    is_free = or_(AlertMessage.lease_until.is_(None), AlertMessage.lease_until <= now)
    return _waiting() & (AlertMessage.not_before <= now) & is_free


def due_channels(session: Session, now: datetime) -> Sequence[str]:
    """Return the channels whose oldest message is to be sent now."""
    heads = _head_of().group_by(AlertMessage.channel)
    query = select(AlertMessage.channel).where(AlertMessage.id.in_(heads), _due(now))
    return session.scalars(query).all()


def claim(session: Session, channel: str, now: datetime, lease: timedelta) -> AlertMessage | None:
    """Return a channel's oldest message, claimed for a while; None if it is not due."""
    head = _head_of(AlertMessage.channel == channel).scalar_subquery()
    query = select(AlertMessage).where(AlertMessage.id == head, _due(now))
    message = session.scalar(query.with_for_update(skip_locked=True))
    if message is not None:
        message.attempt += 1
        message.lease_until = now + lease
    return message


def hurry(session: Session, channel: str, now: datetime) -> None:
    """Let what waits for a channel be tried now."""
    mine = update(AlertMessage).where(_waiting(), AlertMessage.channel == channel)
    change(session, mine.values(not_before=now, error=None))


def settle(session: Session, message_id: int, attempt: int, **values: Any) -> bool:
    """Write what became of a claimed message; False if the claim was lost."""
    mine = update(AlertMessage).where(
        AlertMessage.id == message_id, AlertMessage.attempt == attempt
    )
    return change(session, mine.values(lease_until=None, **values)) == 1


def waiting_messages(session: Session) -> Sequence[AlertMessage]:
    """Return the messages that are not sent yet, oldest first."""
    return session.scalars(select(AlertMessage).where(_waiting()).order_by(AlertMessage.id)).all()


def waiting_by_channel(session: Session) -> Sequence[Row[str, int, datetime, str | None]]:
    """Return the channels that messages wait for: how many, since when, the error of the last try.

    Only the oldest message of a channel is tried, so no other has an error.
    """
    query = select(
        AlertMessage.channel, func.count(), func.min(AlertMessage.created_at),
        func.max(AlertMessage.error),
    )  # fmt: skip
    by_channel = query.where(_waiting()).group_by(AlertMessage.channel)
    return session.execute(by_channel.order_by(AlertMessage.channel)).all()


def undelivered(session: Session) -> Sequence[Row[str, list[Any]]]:
    """Return channels and alerts of the messages that are not sent yet, oldest first."""
    query = select(AlertMessage.channel, AlertMessage.alerts).where(_waiting())
    return session.execute(query.order_by(AlertMessage.id)).all()


def message(session: Session, message_id: int) -> AlertMessage | None:
    """Return one message."""
    return session.get(AlertMessage, message_id)
