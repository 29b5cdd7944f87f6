"""Applying one answered call to its sync: writing rows, recording flaws, planning further calls.

All of this runs inside the transaction that also ends the call, so a page's effects and its end are
atomic. Of unusable rows only numbers and field names are stored and reported, never a value.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sisgate.ledger import call_queue, calls, datasets, listings, records
from sisgate.ledger import known_pages as on_file
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Claim, ClaimedCall, Purpose
from sisgate.ledger.known_pages import PageOnFile
from sisgate.ledger.schema import Dataset, Job, ListingRow
from sisgate.providers.dialect import Flaw, Listing, Page
from sisgate.settings import ProviderConfig
from sisgate.sync import known_pages, start
from sisgate.sync.completeness import Bridge
from sisgate.sync.pages import Earlier, Edges, after_repeat, following

CODE = "rows_unusable"

FILTER_REFUSED = "the provider refused the filter"
"""Why a list is read in full: a guess until that has been tried."""

NAMED = 5
"""How many flaws are named; the others are counted."""


@dataclass(frozen=True)
class Flaws:
    """The flaws of one list. Rows are numbered from 1; a row that came twice counts once."""

    lost: frozenset[int] = frozenset()
    marred: frozenset[int] = frozenset()
    named: tuple[tuple[int, str], ...] = ()

    @property
    def lost_text(self) -> str:
        """The report on rows that are not records."""
        return f"{_rows(len(self.lost))} could not be used ({self._named(self.lost)})"

    @property
    def marred_text(self) -> str:
        """The report on records that lack a field."""
        return (
            f"{_rows(len(self.marred))} had fields that could not be used and were left out "
            f"({self._named(self.marred)})"
        )

    def _named(self, rows: frozenset[int]) -> str:
        shown = [(row, problem) for row, problem in self.named if row in rows][:NAMED]
        others = len(rows) - len({row for row, _ in shown})
        named = "; ".join(f"row {row}: {problem}" for row, problem in shown)
        return f"{named}; and {others:,} more" if others else named


def flaws_json(flaws: Sequence[Flaw]) -> dict[str, Any] | None:
    """Return a page's flaws as stored in the ledger; None if there are none."""
    if not flaws:
        return None
    lost = sorted({flaw.row for flaw in flaws if flaw.lost})
    marred = sorted({flaw.row for flaw in flaws} - set(lost))
    first = [*[f for f in flaws if f.lost][:NAMED], *[f for f in flaws if not f.lost][:NAMED]]
    named = [(flaw.row, f"{flaw.field or 'it'} {flaw.problem}") for flaw in first]
    both = Flaws(frozenset(lost), frozenset(marred), tuple(named))
    texts = [text for rows, text in ((lost, both.lost_text), (marred, both.marred_text)) if rows]
    return {
        "code": CODE,
        "message": f"{'; '.join(texts)}.",
        "lost": lost,
        "marred": marred,
        "named": [list(each) for each in named],
    }


def of_pages(kept: Iterable[Mapping[str, Any] | None]) -> Flaws:
    """Return the flaws of a list from those stored with its pages."""
    lost: set[int] = set()
    marred: set[int] = set()
    named: dict[tuple[int, str], None] = {}
    for page in kept:
        if page is not None and page.get("code") == CODE:
            lost.update(page["lost"])
            marred.update(page["marred"])
            named |= dict.fromkeys((row, what) for row, what in page["named"])
    return Flaws(frozenset(lost), frozenset(marred - lost), tuple(sorted(named)))


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def record_count(session: Session, claim: Claim, job: Job, total: int, now: datetime) -> None:
    """Record a listing's length and plan its first page."""
    assert claim.listing is not None
    row = session.get_one(ListingRow, claim.listing.id)
    row.total = total
    if total > 0:
        position = start.first_position(Listing.from_json(row.plan))
        call_queue.plan(
            session, job, [NewCall(Purpose.PAGE, row.id, position, look=row.looks)], now
        )


class PageChanged(Exception):
    """A page that looked known has records that changed since; it must be read after all."""


@dataclass(frozen=True)
class Seen:
    """A page as it was read, with the digest to know it by; or as it is `known`, without rows."""

    page: Page
    digest: bytes | None = None
    known: PageOnFile | None = None


def record_page(
    session: Session, claim: Claim, job: Job, config: ProviderConfig, seen: Seen, now: datetime
) -> None:
    """Write a page's rows and plan what follows from it. `PageChanged` if it must be read first."""
    page = seen.page
    assert claim.listing is not None
    assert job.resource is not None
    row = session.get_one(ListingRow, claim.listing.id)
    listing = Listing.from_json(row.plan)
    was_known = row.total is not None
    if page.total is not None:
        row.total = page.total
    if not row.replaced and claim.call.purpose == Purpose.PAGE:
        positions = following(listing, claim.position, page, row.total, was_known=was_known)
        if positions:
            earlier = _earlier(session, claim.call)
            others = after_repeat(listing, claim.position, page, earlier)
            positions = positions if others is None else others
        new = [NewCall(Purpose.PAGE, row.id, each, look=claim.call.look) for each in positions]
        call_queue.plan(session, job, new, now)
    if not row.replaced:
        start.add_listings(session, job, page.listings, now)
    if _filter_was_ignored(job, page):
        give_up_filter(session, job, config, "the provider ignored the filter", now)
    dataset = datasets.lock(session, job.provider, job.resource)
    if seen.known is not None:
        _see_again(session, job, dataset, seen.known, now)
    elif not listing.discovers:
        together = _write_rows(session, job, dataset, page, now)
        if seen.digest is not None and together is not None:
            place = known_pages.place_of(job.resource, listing, claim.position)
            until = start.read_since(job) or now
            noted = known_pages.on_file(place, seen.digest, page, until)
            if noted is not None:
                on_file.remember(session, dataset, noted, together, dataset.generation)


def _note(why: str) -> str:
    return f"Read in full, because {why}."


def restart_full(
    session: Session, job: Job, config: ProviderConfig, dataset: Dataset, why: str, now: datetime
) -> None:
    """Abandon the filter and read the whole list in the same job."""
    job.note = _note(why)
    call_queue.withdraw(session, job.id, now)
    start.begin_full(session, job, config, dataset, now)


def give_up_filter(
    session: Session, job: Job, config: ProviderConfig, why: str, now: datetime
) -> None:
    """Read in full and remember that this dataset's filter is unusable."""
    assert job.resource is not None
    dataset = datasets.lock(session, job.provider, job.resource)
    dataset.filter_works = False
    restart_full(session, job, config, dataset, why, now)


def take_back_filter(session: Session, job: Job) -> None:
    """Forget that a filter was refused, if the whole list was refused as well."""
    if job.resource is None or job.rows_seen or job.note != _note(FILTER_REFUSED):
        return
    datasets.lock(session, job.provider, job.resource).filter_works = None
    job.note = None


def use_fallback(
    session: Session, claim: Claim, job: Job, plans: Sequence[Listing], now: datetime
) -> None:
    """Replace a listing that the provider does not offer by its substitutes."""
    assert claim.listing is not None
    session.get_one(ListingRow, claim.listing.id).replaced = True
    start.add_listings(session, job, plans, now)


def edges_json(page: Page) -> dict[str, object]:
    """Return what the ledger stores of a page besides its length.

    Its edges, whether it announced a further page, and how many records it marked as deleted.
    """
    edges = Edges.of(page.ids)
    marked = sum(row.is_deleted for row in page.rows)
    return {
        "first": list(edges.first), "last": list(edges.last), "more": page.more,
        **({"marked": marked} if marked else {}),
    }  # fmt: skip


def bridge_target(bridge: Bridge) -> dict[str, object]:
    """Return what the ledger stores of a bridge until it is read."""
    return {"seam": bridge.seam, "before": list(bridge.before), "after": list(bridge.after)}


def judged_target(call: ClaimedCall, page: Page) -> dict[str, object] | None:
    """Return a bridge's target with whether it closed its seam."""
    if call.purpose != Purpose.BRIDGE or call.target is None:
        return call.target
    target = call.target
    before, after = tuple(target["before"]), tuple(target["after"])
    bridge = Bridge(calls.position_of(call), target["seam"], before, after)
    return {**target, "bridged": bridge.is_proof(page)}


def _earlier(session: Session, call: ClaimedCall) -> list[Earlier]:
    earlier = []
    for page in listings.pages_to_compare(session, call):
        edges = page.edges or {"first": [], "last": []}
        earlier.append(Earlier(Edges(tuple(edges["first"]), tuple(edges["last"])), page.rows or 0))
    return earlier


def _filter_was_ignored(job: Job, page: Page) -> bool:
    if job.mode != "incremental" or job.since is None:
        return False
    # A server may round the times it shows, by up to a day as far as we know.
    limit = job.since - start.ROUNDING_MARGIN
    return any(row.last_modified is not None and row.last_modified < limit for row in page.rows)


def _see_again(
    session: Session, job: Job, dataset: Dataset, known: PageOnFile, now: datetime
) -> None:
    newest, until = known_pages.newest_on_file(known), start.read_since(job) or now
    is_too_new = newest is not None and newest[0] > until
    if is_too_new or not on_file.confirm(session, dataset, known, dataset.generation, now):
        raise PageChanged
    job.rows_seen += known.facts["rows"]
    _note_newest(job, newest)


def _write_rows(
    session: Session, job: Job, dataset: Dataset, page: Page, now: datetime
) -> frozenset[int] | None:
    """Write the rows; return the sightings that hold them and no others, if there are such."""
    # The generation of the newest full sync, not of this job: that sync must not delete a record
    # that another sync sees now, only because its place in the list had already been read.
    tally = records.write_page(
        session,
        dataset,
        page.rows,
        job_id=job.id,
        generation=dataset.generation,
        now=now,
        since=job.started_at,
    )
    job.rows_seen += len(page.rows)
    job.inserted += tally.inserted
    job.updated += tally.updated
    if job.mode == "incremental" and job.witness in page.ids:
        job.witness = None
    # A future time would hide the changes until then from the next filter, and a time since the
    # sync began those of the pages already read. A deleted record may leave the list, so a filter
    # need not return it.
    _note_newest(job, known_pages.newest_of(page.rows, start.read_since(job) or now))
    return tally.sightings


def _note_newest(job: Job, newest: tuple[datetime, str] | None) -> None:
    if newest is not None and (job.high_water is None or newest[0] > job.high_water):
        job.high_water, job.newest_id = newest
