"""Rolling calls up into hours by provider and app, so that the calls themselves may be deleted.

An hour is counted once, when it can no longer change.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Integer, Select, case, cast, func, literal, or_, select
from sqlalchemy.orm import Session

from sisgate.ledger.attempts import was_tried
from sisgate.ledger.database import Database
from sisgate.ledger.job_search import whose
from sisgate.ledger.schema import Attempt, Call, Job, UsageHour, UtcDateTime
from sisgate.ledger.statements import insert_into

HOUR = timedelta(hours=1)

SETTLED = timedelta(hours=1)
"""How long after its end an hour is counted: longer than any call that was begun in it."""

NO_ANSWER_FROM = 500


def roll_up(database: Database, now: datetime) -> Iterator[datetime]:
    """Count each hour that is over and not counted yet, the oldest first; yield it.

    Each is a transaction of its own. Two at once count an hour once.
    """
    while True:
        with database.read() as session:
            hour = _next(session)
        if hour is None or hour + HOUR + SETTLED > now:
            return
        with database.write() as session:
            columns = [column.key for column in UsageHour.__table__.columns]
            rolled = insert_into(session, UsageHour).from_select(columns, _of_hour(hour, now))
            session.execute(rolled.on_conflict_do_nothing())
        yield hour


def _of_hour(hour: datetime, now: datetime) -> Select[datetime, str, str, int, int, int, int, int]:
    """Count the calls that were begun within an hour, from the calls themselves."""
    last = Attempt.number == Call.attempt
    # One under way has not failed; one whose worker was lost has.
    is_over = or_(Attempt.ended_at.is_not(None), Attempt.lease_until < now)
    is_failed = or_(Attempt.status.is_(None) & is_over, Attempt.status >= NO_ANSWER_FROM)
    rows = func.coalesce(func.sum(case((last, Call.rows), else_=0)), 0)
    return (
        select(
            literal(hour, UtcDateTime()).label("hour"),
            Job.provider,
            Job.app,
            func.count().label("calls"),
            _count(Attempt.status == 429).label("throttled"),
            _count(is_failed).label("failed"),
            cast(rows, Integer).label("rows"),
            _count(Attempt.unsent.is_not(None)).label("unsent"),
        )
        .select_from(Attempt)
        .join(Call, Call.id == Attempt.call_id)
        .join(Job, Job.id == Call.job_id)
        .where(Attempt.started_at >= hour, Attempt.started_at < hour + HOUR, was_tried())
        .group_by(Job.provider, Job.app)
        .order_by(Job.provider, Job.app)
    )


def counted(
    session: Session,
    since: datetime,
    until: datetime,
    provider: str | None,
    app: str | None,
    now: datetime,
) -> list[UsageHour]:
    """Return the hours from `since` on, before `until`: those rolled up, then those to come."""
    query = select(UsageHour).where(UsageHour.hour >= since, UsageHour.hour < until)
    if provider is not None:
        query = query.where(UsageHour.provider == provider)
    if app is not None:
        query = query.where(UsageHour.app == app)
    order = (UsageHour.hour, UsageHour.provider, UsageHour.app)
    found = list(session.scalars(query.order_by(*order)))
    hour = _next(session, since)
    while hour is not None and hour < until:
        to_come = session.execute(_of_hour(hour, now).where(*whose(provider, app, None)))
        found += [UsageHour(**row._mapping) for row in to_come]
        hour = _first_after(session, hour + HOUR)
    return found


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of a moment's hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def _next(session: Session, since: datetime | None = None) -> datetime | None:
    """Return the first hour with calls, from `since` on, that is not counted yet."""
    newest = session.scalar(select(func.max(UsageHour.hour)))
    begins = [] if newest is None else [newest + HOUR]
    return _first_after(session, max([*begins, *filter(None, [since])], default=None))


def _first_after(session: Session, start: datetime | None) -> datetime | None:
    query = select(Attempt.started_at).order_by(Attempt.started_at).limit(1)
    if start is not None:
        query = query.where(Attempt.started_at >= start)
    first = session.scalar(query)
    return hour_of(first) if first is not None else None


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return cast(func.sum(case((condition, 1), else_=0)), Integer)
