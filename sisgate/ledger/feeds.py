"""Feeds of changes as people look at them: the newest changes, and how far apps have read."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Row, func, literal_column, select
from sqlalchemy.orm import Session

from sisgate.ledger.job_search import is_among
from sisgate.ledger.schema import Change, Dataset, FeedPosition
from sisgate.ledger.statements import insert_into

NOTED_EVERY = timedelta(minutes=1)
"""How often it is noted that an app asks, while it finds nothing new."""


def is_noted(
    session: Session, provider: str, resource: str, app: str, cursor: int, now: datetime
) -> bool:
    """Return whether an app's position is known already, from a moment ago."""
    position = session.get(FeedPosition, (provider, resource, app))
    return (
        position is not None and position.cursor == cursor and now - position.read_at < NOTED_EVERY
    )


def note(
    session: Session, provider: str, resource: str, app: str, cursor: int, now: datetime
) -> None:
    """Note through which change an app has read a feed."""
    upsert = insert_into(session, FeedPosition).values(
        provider=provider, resource=resource, app=app, cursor=cursor, read_at=now
    )
    key = ["provider", "resource", "app"]
    news = {"cursor": upsert.excluded.cursor, "read_at": upsert.excluded.read_at}
    session.execute(upsert.on_conflict_do_update(index_elements=key, set_=news))


def positions(
    session: Session,
    places: Sequence[tuple[str, str]],
    *,
    provider: str | None = None,
    resource: str | None = None,
    app: str | None = None,
    limit: int,
) -> Sequence[Row[FeedPosition, int, int]]:
    """Return positions with the dataset's newest change and its horizon, by dataset.

    `places` are pairs of provider and resource, as with `datasets.all_of`.
    """
    query = select(FeedPosition, Dataset.last_sequence, Dataset.change_horizon).join(
        Dataset,
        (Dataset.provider == FeedPosition.provider) & (Dataset.resource == FeedPosition.resource),
    )
    query = query.where(is_among(Dataset, places))
    if provider is not None:
        query = query.where(FeedPosition.provider == provider)
    if resource is not None:
        query = query.where(FeedPosition.resource == resource)
    if app is not None:
        query = query.where(FeedPosition.app == app)
    order = (FeedPosition.provider, FeedPosition.resource, FeedPosition.cursor, FeedPosition.app)
    return session.execute(query.order_by(*order).limit(limit)).all()


def newest(
    session: Session, provider: str, resource: str, *, before: int | None, limit: int
) -> Sequence[Change]:
    """Return the newest changes of a dataset, or those below a number, the newest first."""
    query = select(Change).where(Change.provider == provider, Change.resource == resource)
    if before is not None:
        query = query.where(Change.sequence < before)
    return session.scalars(query.order_by(Change.sequence.desc()).limit(limit)).all()


def oldest_at(session: Session, provider: str, resource: str) -> datetime | None:
    """Return when the oldest change that is still there was made."""
    of_feed = (Change.provider == provider, Change.resource == resource)
    first = select(func.min(Change.sequence)).where(*of_feed).scalar_subquery()
    return session.scalar(select(Change.changed_at).where(*of_feed, Change.sequence == first))


def of_record(
    session: Session, provider: str, resource: str, sourced_id: str, limit: int
) -> Sequence[Change]:
    """Return the newest updates and deletions of one record, the newest first."""
    query = select(Change).where(
        Change.provider == provider,
        Change.resource == resource,
        Change.sourced_id == sourced_id,
        Change.operation != literal_column("'insert'"),  # as the index has it
    )
    # Sorted as an expression: for a column, SQLite would walk the primary key through all changes.
    return session.scalars(query.order_by((Change.sequence + 0).desc()).limit(limit)).all()
