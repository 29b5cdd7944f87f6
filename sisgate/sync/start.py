"""The beginning of a sync: full or incremental, which listings, which first calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from sisgate.domain.states import JobState
from sisgate.ledger import call_queue, listings, records
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Purpose
from sisgate.ledger.schema import Dataset, Job, ListingRow
from sisgate.providers.dialect import Listing, Position
from sisgate.settings import ProviderConfig
from sisgate.sync import resume

BOUNDARY_MARGIN = timedelta(seconds=60)
"""How far before the newest known change an incremental sync begins.

The filter asks for rows changed at or after a time at which we know one to exist, the witness. An
honest server therefore answers with at least that row. One that rounds the time, or compares it as
text, may answer with other rows and without it.
"""

ROUNDING_MARGIN = timedelta(days=1)
"""A server may show times rounded; rows older than this before the filter mean it was ignored."""


def start(session: Session, job: Job, config: ProviderConfig, now: datetime) -> None:
    """Turn an accepted sync job into a running one with its first calls planned."""
    assert job.resource is not None
    dataset = records.lock_dataset(session, job.provider, job.resource)
    since = _since(job, config, dataset, now)
    job.state = JobState.RUNNING.value
    job.started_at = now
    if since is None:
        if not resume.take_over(session, job, config, dataset, now):
            begin_full(session, job, config, dataset, now)
        return
    job.mode, job.since, job.generation = "incremental", since, dataset.generation
    if dataset.newest_id and records.is_live(session, dataset, dataset.newest_id):
        job.witness = dataset.newest_id
    add_listings(session, job, config.dialect.plan(job.resource, since=since), now)


def begin_full(
    session: Session, job: Job, config: ProviderConfig, dataset: Dataset, now: datetime
) -> None:
    """Plan a full read, also in place of an incremental one that could not be trusted."""
    assert job.resource is not None
    session.execute(update(ListingRow).where(ListingRow.job_id == job.id).values(replaced=True))
    dataset.generation += 1
    job.mode, job.since, job.generation = "full", None, dataset.generation
    add_listings(session, job, config.dialect.plan(job.resource, since=None), now)


def add_listings(session: Session, job: Job, plans: Sequence[Listing], now: datetime) -> None:
    """Add listings to a job, each with the call that tells its length, or its first page."""
    new = listings.add(session, job.id, {plan.name: plan.to_json() for plan in plans})
    for row in new:
        begin_listing(session, job, row, now)


def begin_listing(session: Session, job: Job, row: ListingRow, now: datetime) -> None:
    """Plan a listing's first call."""
    listing = Listing.from_json(row.plan)
    purpose = Purpose.COUNT if listing.counted_by else Purpose.PAGE
    first = NewCall(purpose, row.id, first_position(listing), look=row.looks)
    call_queue.plan(session, job, [first], now)


def first_position(listing: Listing) -> Position:
    """Return where a listing's first page lies."""
    return Position(start=0, page=1, size=listing.page_size)


def _since(job: Job, config: ProviderConfig, dataset: Dataset, now: datetime) -> datetime | None:
    mode = job.options.get("mode", "auto")
    if mode == "full" or not config.dialect.can_filter or dataset.high_water is None:
        return None
    if mode == "auto":
        if job.options.get("allow_deletes"):
            return None
        full = dataset.full_synced_at
        if dataset.filter_works is False or full is None or now - full >= config.full_sync_every:
            return None
    return dataset.high_water - BOUNDARY_MARGIN
