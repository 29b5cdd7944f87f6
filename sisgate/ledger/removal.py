"""What removed providers leave behind: their waiting jobs, and their data."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, inspect, not_, select, tuple_, update
from sqlalchemy.orm import Session

from sisgate.domain.states import LIVE_JOB_STATES, CallState, JobKind, JobState
from sisgate.errors import UsageError
from sisgate.ledger import configuration
from sisgate.ledger.database import Database
from sisgate.ledger.schema import (
    Base,
    Call,
    Change,
    Dataset,
    Job,
    KnownPage,
    MarkedDeletion,
    Record,
    Response,
    Sighting,
)
from sisgate.ledger.statements import change
from sisgate.ledger.states import is_in, live_call


def waiting_jobs(session: Session, providers: Collection[str]) -> Counter[str]:
    """Return how many jobs of each provider `cancel` would end."""
    if not providers:
        return Counter()
    rows = session.execute(
        select(Job.provider, func.count()).where(*_ends(providers)).group_by(Job.provider)
    )
    return Counter({row[0]: row[1] for row in rows})


def with_live_jobs(session: Session, known: Collection[str]) -> list[str]:
    """Return the providers besides the `known` ones that have jobs which have not ended."""
    live = select(Job.provider).where(is_in(Job.state, *LIVE_JOB_STATES)).distinct()
    return sorted(set(session.scalars(live)) - set(known))


def left_something(session: Session, provider: str) -> bool:
    """Return whether a provider ever had a job or a dataset; both outlast a purge."""
    job, dataset = Job.provider == provider, Dataset.provider == provider
    return any(
        session.scalar(select(select(table).where(where).exists()))
        for table, where in ((Job.id, job), (Dataset.resource, dataset))
    )


def cancel(
    session: Session, now: datetime, errors: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str]]:
    """End the waiting jobs of removed providers as cancelled, each with its provider's error.

    Returns their ids by provider, without those that had none.

    A request whose call is running is left to end by itself, since its response is about to arrive.
    A running call of a sync ends as well, and its answer is dropped, as with any cancelled job.
    """
    cancelled: dict[str, list[str]] = {}
    for provider, error in sorted(errors.items()):
        values = {"state": JobState.CANCELLED.value, "ended_at": now, "error": dict(error)}
        ended = session.scalars(
            update(Job).where(*_ends([provider])).values(**values).returning(Job.id),
            execution_options={"synchronize_session": False},
        )
        if not (ids := list(ended)):
            continue
        cancelled[provider] = ids
        of_ended: Select[Any] = select(Job.id).where(
            Job.provider == provider, Job.state == JobState.CANCELLED.value, Job.ended_at == now
        )
        waiting = is_in(Call.state, CallState.PLANNED, CallState.QUEUED)
        withdrawn = update(Call).where(Call.job_id.in_(of_ended), waiting)
        change(session, withdrawn.values(state=CallState.CANCELLED.value, ended_at=now))
        change(session, delete(MarkedDeletion).where(MarkedDeletion.job_id.in_(of_ended)))
    return cancelled


BATCH = 500
"""Rows of one transaction: a writer that waits for it waits for some hundredths of a second."""


def purge(database: Database, provider: str) -> Counter[str]:
    """Delete a removed provider's records, changes and stored responses; return how many of each.

    The datasets keep the number of their last change, so that the feed of a provider that is added
    again continues above it; every cursor of before is too old for it. Batch by batch: it may be
    interrupted and repeated. Raises `UsageError` while the provider is configured, also when it is
    added again meanwhile.
    """
    known = -1

    def check(session: Session) -> None:
        nonlocal known
        version = configuration.newest(session)
        if version != known and configuration.has_provider(session, provider):
            raise UsageError(
                f"{provider} is configured, by version {version}: its data is deleted no further.",
                provider=provider,
                version=version,
            )
        known = version

    fresh = dict.fromkeys(("high_water", "newest_id", "filter_works", "full_synced_at"))
    with database.write() as session:
        datasets = update(Dataset).where(Dataset.provider == provider)
        newest = Dataset.last_sequence + 1
        change(session, datasets.values(last_sequence=newest, change_horizon=newest, **fresh))
        check(session)
    return Counter(
        {name: _delete(database, table, where, check) for name, table, where in _owned(provider)}
    )


def owned_by(session: Session, provider: str) -> Counter[str]:
    """Return how many rows `purge` would delete, by table."""
    return Counter(
        {
            name: session.scalar(select(func.count()).select_from(table).where(where)) or 0
            for name, table, where in _owned(provider)
        }
    )


def _owned(provider: str) -> list[tuple[str, type[Base], ColumnElement[bool]]]:
    of_provider = select(Job.id).where(Job.provider == provider)
    return [
        ("known_pages", KnownPage, KnownPage.provider == provider),
        ("records", Record, Record.provider == provider),
        # Not before the records: one whose sighting is gone could be neither seen nor missed.
        ("sightings", Sighting, Sighting.provider == provider),
        ("changes", Change, Change.provider == provider),
        ("responses", Response, Response.job_id.in_(of_provider)),
    ]


def _delete(
    database: Database,
    table: type[Base],
    where: ColumnElement[bool],
    check: Callable[[Session], None],
) -> int:
    key = inspect(table).primary_key
    chosen = select(*key).where(where).limit(BATCH)
    total, gone = 0, BATCH
    while gone == BATCH:
        with database.write() as session:
            gone = change(session, delete(table).where(tuple_(*key).in_(chosen)))
            check(session)
        total += gone
    return total


def _ends(providers: Collection[str]) -> list[ColumnElement[bool]]:
    is_running = select(Call.id).where(Call.job_id == Job.id, live_call(CallState.RUNNING)).exists()
    return [
        is_in(Job.state, *LIVE_JOB_STATES),
        Job.provider.in_(list(providers)),
        not_((Job.kind == JobKind.REQUEST.value) & is_running),
    ]
