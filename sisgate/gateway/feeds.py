"""Feeds of changes as people look at them, without records: what is new, and who reads."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sisgate.access.policy import Action
from sisgate.domain.stored_records import StoredChange
from sisgate.errors import DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.job import own_app, places_of
from sisgate.ledger import datasets, feeds
from sisgate.ledger.schema import Change

MOST_CONSUMERS = 1000


@dataclass(frozen=True)
class FeedChange:
    """One change without its record: which record, what was done, when, and by which job."""

    sequence: int
    operation: str
    sourced_id: str
    changed_at: datetime
    job_id: str


@dataclass(frozen=True)
class Feed:
    """The feed of a dataset: its newest number, what is gone of it, and changes, newest first.

    Changes up to the number `horizon` are gone; `oldest_at` is the time of the oldest that is left.
    """

    provider: str
    resource: str
    newest: int
    horizon: int
    oldest_at: datetime | None
    changes: Sequence[FeedChange]


@dataclass(frozen=True)
class FeedConsumer:
    """How far an app has read a feed. `read_at` is when it last asked for changes.

    `is_lost`: changes that it has not read are gone, so it has to read all records again.
    """

    app: str
    provider: str
    resource: str
    cursor: int
    behind: int
    read_at: datetime
    is_lost: bool


def read_feed(core: Core, provider: str, resource: str, before: int | None, limit: int) -> Feed:
    """Return the newest changes of a dataset, or those below the number `before`."""
    core.check_dataset(provider, resource)
    core.access.require(Action.LOOK, provider, resource)
    with core.database.read() as session:
        changes = feeds.newest(session, provider, resource, before=before, limit=limit)
        newest, horizon = datasets.ends_of_feed(session, provider, resource)
        oldest_at = feeds.oldest_at(session, provider, resource)
        return Feed(
            provider, resource, newest, horizon, oldest_at,
            [change_of(each) for each in changes],
        )  # fmt: skip


def change_of(row: Change) -> FeedChange:
    """Return a change from its row."""
    return FeedChange(row.sequence, row.operation, row.sourced_id, row.changed_at, row.job_id)


def read_consumers(core: Core, provider: str | None, resource: str | None) -> list[FeedConsumer]:
    """Return how far apps have read the feeds that the caller may see; an app sees itself."""
    principal = core.access.require_role(Action.LOOK)
    if provider is not None:
        core.check_dataset(provider, *([resource] if resource is not None else []))
    with core.database.read() as session:
        rows = feeds.positions(
            session, places_of(principal), provider=provider, resource=resource,
            app=own_app(principal), limit=MOST_CONSUMERS,
        )  # fmt: skip
        return [
            FeedConsumer(
                each.app, each.provider, each.resource, each.cursor,
                behind=max(0, newest - each.cursor), read_at=each.read_at,
                is_lost=not horizon <= each.cursor <= newest,
            )
            for each, newest, horizon in rows
        ]  # fmt: skip


def noting(
    core: Core, changes: Iterator[StoredChange], provider: str, resource: str, since: int
) -> Iterator[StoredChange]:
    """Pass on changes that an app reads, and note how far it has come.

    Until it has read all that there is, it stands where it began: it may ask for the rest again.
    Nothing is noted of people at this machine.
    """
    if core.user is not None:
        yield from changes
        return
    principal = core.access.principal()
    app = principal.name if principal.kind == "token" else core.settings.app_name
    cursor = since
    _note(core, provider, resource, app, since)
    for change in changes:
        yield change
        cursor = change.sequence
    if cursor > since:
        _note(core, provider, resource, app, cursor)


def _note(core: Core, provider: str, resource: str, app: str, cursor: int) -> None:
    place, now = (provider, resource, app), core.clock.now()
    with suppress(DatabaseUnavailable):  # of interest to people only: the app reads on
        with core.database.read() as session:
            if feeds.is_noted(session, *place, cursor, now):
                return
        core.context.grouped.write(lambda session: feeds.note(session, *place, cursor, now))
