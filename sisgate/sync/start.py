"""The start of a sync: full or incremental, which listings, which first calls."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy.orm import Session

from sisgate.domain.states import JobState
from sisgate.ledger import call_queue, datasets, known_pages, listings, records
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Purpose
from sisgate.ledger.schema import Call, Dataset, Job, ListingRow
from sisgate.providers.dialect import Listing, Position
from sisgate.settings import ProviderConfig
from sisgate.sync.pages import overlap_of

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
    dataset = datasets.lock(session, job.provider, job.resource)
    since = _since(job, config, dataset, now)
    job.state = JobState.RUNNING.value
    job.started_at = now
    if since is None:
        if not take_over(session, job, config, dataset, now):
            begin_full(session, job, config, dataset, now)
        return
    job.mode, job.since, job.generation = "incremental", since, dataset.generation
    if dataset.newest_id and records.is_live(session, dataset, dataset.newest_id):
        job.witness = dataset.newest_id
    add_listings(session, job, config.dialect.plan(job.resource, since=since), now)


def begin_full(
    session: Session, job: Job, config: ProviderConfig, dataset: Dataset, now: datetime
) -> None:
    """Plan a full read, possibly instead of an incremental one that could not be trusted."""
    assert job.resource is not None
    listings.replace_all(session, job.id)
    dataset.generation += 1
    known_pages.forget_old(session, dataset)
    job.mode, job.since, job.generation = "full", None, dataset.generation
    add_listings(session, job, config.dialect.plan(job.resource, since=None), now)


def add_listings(session: Session, job: Job, plans: Sequence[Listing], now: datetime) -> None:
    """Add listings to a job, each with the call that counts it or reads its first page."""
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


RESUMES = "resumes"
"""The option of a retried job that names the failed one."""

READ_SINCE = "read_since"
"""The option of a job that took pages over: when the first of them was read, in ISO 8601."""

WITHIN = timedelta(hours=1)
"""How long after its end the pages of a failed job are still taken over."""


def take_over(
    session: Session, job: Job, config: ProviderConfig, dataset: Dataset, now: datetime
) -> bool:
    """Take over the pages read by the failed job that this one retries; return whether it did.

    A list without a length is read page by page, so a failure near its end would mean reading it
    all again. The pages are taken over if they provably belong to what this job reads: one list,
    read in full by overlapping pages without a gap, in the generation that is still the newest,
    recently. The next page overlaps the last of them, so a list that has since shifted is noticed
    at that seam as at any other (see `sisgate.sync.pages`) and reread there. Records of these pages
    that have only changed since then come with the next sync: its filter begins at the failed job's
    start.

    Then the job is a full read with the next call planned. The dataset must be locked.
    """
    failed = session.get(Job, job.options.get(RESUMES) or "")
    if failed is None or not _is_recent(failed, job, dataset, now):
        return False
    rows = listings.of_job(session, failed.id)
    if len(rows) != 1 or not _is_planned_still(rows[0], job, config):
        return False
    listing, pages = Listing.from_json(rows[0].plan), listings.pages_of(session, failed.id)
    if not _is_chain(listing, pages):
        return False
    (row,) = listings.add(session, job.id, {rows[0].name: rows[0].plan})
    listings.adopt(session, pages, job, row)
    _carry_on(job, failed, pages, dataset)
    last = pages[-1]
    assert last.start is not None
    assert last.rows is not None
    overlap = overlap_of(listing, last.size)
    position = Position(start=last.start + last.rows - overlap, size=last.size)
    call_queue.plan(session, job, [NewCall(Purpose.PAGE, row.id, position)], now)
    return True


def read_since(job: Job) -> datetime | None:
    """Return since when what the job knows has been read: what changed later it may have missed."""
    text = job.options.get(READ_SINCE)
    return datetime.fromisoformat(text) if text else job.started_at


def _is_recent(failed: Job, job: Job, dataset: Dataset, now: datetime) -> bool:
    return (
        failed.state == JobState.FAILED.value
        and failed.mode == "full"
        and (failed.provider, failed.resource) == (job.provider, job.resource)
        and failed.generation == dataset.generation
        and failed.ended_at is not None
        and now - failed.ended_at <= WITHIN
    )


def _is_planned_still(row: ListingRow, job: Job, config: ProviderConfig) -> bool:
    """Return whether the list would be read in the same way now, and was in its first pass."""
    assert job.resource is not None
    plans = list(config.dialect.plan(job.resource, since=None))
    return plans == [Listing.from_json(row.plan)] and row.total is None and row.looks == 1


def _is_chain(listing: Listing, pages: Sequence[Call]) -> bool:
    """Return whether the pages join each other from the first row on, and the next will join them.

    A page with records marked as deleted is read again: their marks ended with the failed job.
    """
    if listing.discovers or len(pages) < 2:
        return False
    if pages[0].start != 0 or any(
        page.purpose != Purpose.PAGE.value
        or page.look != 1
        or page.link is not None
        or not page.rows
        or not overlap_of(listing, page.size)
        or (page.edges or {}).get("marked")
        for page in pages
    ):
        return False
    joined = (
        b.start == (a.start or 0) + (a.rows or 0) - overlap_of(listing, a.size)
        for a, b in pairwise(pages)
    )
    return all(joined) and (pages[-1].edges or {}).get("more") is not False


def _carry_on(job: Job, failed: Job, pages: Sequence[Call], dataset: Dataset) -> None:
    begun = read_since(failed)
    assert begun is not None
    job.options = {**job.options, READ_SINCE: begun.isoformat()}
    job.mode, job.since, job.generation = "full", None, dataset.generation
    job.rows_seen, job.inserted, job.updated = failed.rows_seen, failed.inserted, failed.updated
    job.high_water, job.newest_id = failed.high_water, failed.newest_id
    job.note = f"The first {len(pages)} pages were taken over from job {failed.id}."
