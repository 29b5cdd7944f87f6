"""What a full read remembers of a page, to know the same response again.

A page is what a dialect makes of a response's status, body and some headers. So a response with the
same digest, read in the same place by the same code, is the same page, and need not be read.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from importlib.resources import files

from sqlalchemy.orm import Session

from sisgate.domain.records import Row
from sisgate.ledger import known_pages as ledger
from sisgate.ledger.calls import Claim, Purpose
from sisgate.ledger.known_pages import PageOnFile
from sisgate.providers.dialect import PAGE_HEADERS, Dialect, Listing, Page, Position
from sisgate.providers.http import HttpResponse

CODE = (
    ("sisgate.providers", ""),
    ("sisgate.domain", "records.py"),
    ("sisgate.ledger", "variants.py"),
    ("sisgate.privacy", "persons.py"),
    ("sisgate.privacy", "suppression.py"),
)
"""The packages, and modules of them, that decide what records a response becomes."""

_ENDS = 3


def is_worth_knowing(claim: Claim) -> bool:
    """Whether a call reads a page that the next full read will ask for as well."""
    is_page = claim.call.purpose == Purpose.PAGE and claim.job.mode == "full"
    return is_page and claim.call.link is None


def looked_up(session: Session, claim: Claim) -> Claim:
    """Return a claim with what is known of its page."""
    if not is_worth_knowing(claim) or claim.listing is None or claim.job.resource is None:
        return claim
    place = place_of(claim.job.resource, Listing.from_json(claim.listing.plan), claim.position)
    found = ledger.find(session, claim.job.provider, claim.job.resource, place)
    return replace(claim, known_page=found)


def place_of(resource: str, listing: Listing, position: Position) -> str:
    """Return what stands for the place of a page: which list, and where in it."""
    return hashlib.sha256(repr((resource, listing.to_json(), position)).encode()).hexdigest()


def digest_of(dialect: Dialect, response: HttpResponse) -> bytes:
    """Return a digest of all that a dialect goes by when it reads a page."""
    headers = [(name, response.headers.get(name)) for name in PAGE_HEADERS]
    digest = hashlib.sha256(
        repr((_code(), dialect.kind, dialect.options, response.status, headers)).encode()
    )
    digest.update(response.body)
    return digest.digest()


def on_file(place: str, digest: bytes, page: Page, until: datetime) -> PageOnFile | None:
    """Return what to remember of a page that was read; None for one that must be read each time.

    That is one with anything but plain records: rows marked as deleted, flaws, further listings, a
    link that leads on. And one with a time after `until`, which may count next time.
    """
    if page.link is not None or page.listings or page.flaws:
        return None
    if any(row.is_deleted for row in page.rows):
        return None
    newest = newest_of(page.rows, None)
    if newest is not None and newest[0] > until:
        return None
    ids = list(page.ids)
    ends = ids if len(ids) <= 2 * _ENDS else [*ids[:_ENDS], *ids[-_ENDS:]]
    facts = {
        "rows": len(page.rows), "received": page.received, "ends": ends, "total": page.total,
        "more": page.more, "newest": [newest[0].isoformat(), newest[1]] if newest else None,
    }  # fmt: skip
    return PageOnFile(place, digest, facts=facts)


def page_of(known: PageOnFile) -> Page:
    """Return a known page without its rows; `ids` are those at its ends."""
    facts = known.facts
    return Page(
        rows=(),
        received=facts["received"],
        ids=facts["ends"],
        total=facts["total"],
        more=facts["more"],
    )


def newest_of(rows: Sequence[Row], until: datetime | None) -> tuple[datetime, str] | None:
    """Return the newest time that a live row tells, not after `until`, and the row's id."""
    newest: tuple[datetime, str] | None = None
    for row in rows:
        time = row.last_modified
        if time is None or (newest is not None and time <= newest[0]):
            continue
        if (until is None or time <= until) and not row.is_deleted:
            newest = time, row.sourced_id
    return newest


def newest_on_file(known: PageOnFile) -> tuple[datetime, str] | None:
    """Return the newest time of a known page and the id of its row."""
    newest = known.facts["newest"]
    return (datetime.fromisoformat(newest[0]), newest[1]) if newest else None


@cache
def _code() -> str:
    """A digest of the code that reads pages: another version may read a response otherwise."""
    digest = hashlib.sha256()
    for package, module in CODE:
        for file in sorted(files(package).iterdir(), key=lambda each: each.name):
            if file.name == module or (not module and file.name.endswith(".py")):
                digest.update(file.read_bytes())
    return digest.hexdigest()
