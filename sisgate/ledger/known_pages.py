"""Pages of full reads as they last came, so that a response that is the same costs next to nothing.

A known page names the sightings that hold its records, each with its revision. Whatever changes one
of these records, adds one or takes one away raises the revision, so a known page need not be
looked after: it holds or it does not. All of this but `find` happens while the dataset is locked.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ClauseElement, delete, inspect, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from sisgate.ledger import deletions, sightings
from sisgate.ledger.prepared import Prepared, given
from sisgate.ledger.schema import Dataset, KnownPage
from sisgate.ledger.statements import change

KEPT_GENERATIONS = 2
"""How many full reads a page may be absent from before it is forgotten."""

_IS_IT = (
    KnownPage.provider == given("provider"),
    KnownPage.resource == given("resource"),
    KnownPage.place == given("place"),
)
_FIND = Prepared(
    lambda _: select(KnownPage.digest, KnownPage.sightings, KnownPage.facts).where(*_IS_IT)
)
_KEEP = Prepared(lambda _: update(KnownPage).where(*_IS_IT).values(generation=given("generation")))


def _remember(is_postgresql: bool) -> ClauseElement:
    columns = inspect(KnownPage).columns
    insert = postgresql.insert if is_postgresql else sqlite.insert
    values = {column.name: given(column.name, column.type) for column in columns}
    statement: Any = insert(KnownPage).values(values)
    key = [column.name for column in columns if column.primary_key]
    new = {name: statement.excluded[name] for name in values.keys() - set(key)}
    updated: ClauseElement = statement.on_conflict_do_update(index_elements=key, set_=new)
    return updated


_REMEMBER = Prepared(_remember)


@dataclass(frozen=True)
class PageOnFile:
    """What is known of a page. `place` is where in which list it is read."""

    place: str
    digest: bytes
    sightings: tuple[tuple[int, int], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def find(session: Session, provider: str, resource: str, place: str) -> PageOnFile | None:
    """Return what is known of a page, None if it is nothing."""
    key = {"provider": provider, "resource": resource, "place": place}
    for digest, noted, facts in _FIND.run(session, key):
        return PageOnFile(place, bytes(digest), tuple((i, r) for i, r in noted), facts)
    return None


def confirm(
    session: Session, dataset: Dataset, page: PageOnFile, generation: int, now: datetime
) -> bool:
    """Note the records of a page as seen if it is known as before; return whether it is.

    Not while a sync of the dataset has records marked: then each record seen is to be unmarked.
    """
    if find(session, dataset.provider, dataset.resource, page.place) != page:
        return False
    if deletions.is_marking(session, dataset):
        return False
    if not sightings.see_again(session, page.sightings, generation, now):
        return False
    key = {"provider": dataset.provider, "resource": dataset.resource, "place": page.place}
    _KEEP.run(session, {**key, "generation": generation})
    return True


def remember(
    session: Session, dataset: Dataset, page: PageOnFile, seen: AbstractSet[int], generation: int
) -> None:
    """Store a page whose records are in the sightings `seen`, which have no others."""
    row = {
        "provider": dataset.provider,
        "resource": dataset.resource,
        "place": page.place,
        "digest": page.digest,
        "generation": generation,
        "sightings": sightings.revisions(session, seen),
        "facts": dict(page.facts),
    }
    _REMEMBER.run(session, row)


def forget(session: Session, provider: str) -> None:
    """Forget all pages of a provider: the next full read parses every response."""
    change(session, delete(KnownPage).where(KnownPage.provider == provider))


def forget_old(session: Session, dataset: Dataset) -> None:
    """Forget the pages that the last full reads of a dataset did not have."""
    old = (
        KnownPage.provider == dataset.provider,
        KnownPage.resource == dataset.resource,
        KnownPage.generation < dataset.generation - KEPT_GENERATIONS,
    )
    change(session, delete(KnownPage).where(*old))
