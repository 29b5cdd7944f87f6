"""Sightings: which live records were last seen together, and when.

A page that comes back as it was is noted in a few narrow rows, not in each of its records. So the
records of a page are grouped: after a page is seen, each of its records is in a sighting that holds
records of this page only. Pages overlap by a row, so the rows at the ends of a page are sightings
of their own, which both pages may note. Where a list has shifted, the few records that went to
another page are moved to its sighting; a page's own large group stays.

`generation` and `last_seen` of a record count only while it has no sighting. All of this happens
while the dataset is locked.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from sisgate.ledger import page_statements
from sisgate.ledger.prepared import Prepared, given
from sisgate.ledger.schema import Dataset, Record, Sighting
from sisgate.ledger.statements import change

SMALL = 8
"""A sighting of less than this fraction of a page joins a larger one, so that none crumbles."""

CHUNK = 500
"""The number of ids in one statement."""

_NOTE = Prepared(
    lambda _: (
        update(Sighting)
        .where(Sighting.id == given("id"))
        .values(
            generation=case(
                (Sighting.generation < given("generation"), given("generation")),
                else_=Sighting.generation,
            ),
            seen_at=given("seen_at", Sighting.seen_at.type),
            size=given("size"),
            revision=Sighting.revision + given("disturbed"),
        )
    )
)
_LEAVE = Prepared(
    lambda _: (
        update(Sighting)
        .where(Sighting.id == given("id"))
        .values(size=Sighting.size - given("gone"), revision=Sighting.revision + 1)
    )
)


@dataclass
class _Group:
    """The records of a page that are in one sighting; the others of it are not on the page."""

    sighting: Any
    ids: list[str] = field(default_factory=list)
    joined: int = 0
    is_disturbed: bool = False

    @property
    def missing(self) -> int:
        return int(self.sighting.size) - len(self.ids)


def see(
    session: Session,
    dataset: Dataset,
    page: Sequence[str],
    known: Mapping[str, page_statements.KnownRecord],
    *,
    unchanged: Sequence[str],
    written: Sequence[str],
    generation: int,
    now: datetime,
    since: datetime | None = None,
) -> dict[str, int]:
    """Note the records of a page as seen; return their sightings, which those written are to get.

    `page` are its ids in order, each once. `unchanged` are as they were, `written` are about to be
    inserted or replaced. Records that are missing in the result were seen since `since`, in this
    very read, among others that are not on this page; nothing more is noted of them.
    """
    groups, new = _groups(known, unchanged, written)
    edges, changed = {page[0], page[-1]} if page else set(), set(written)
    kept: dict[int, _Group] = {}
    left: dict[int, int] = {}
    for key, group in groups.items():
        is_current = (
            since is not None
            and group.sighting.generation >= generation
            and (group.sighting.seen_at >= since)
        )
        ids = group.ids
        if group.missing and is_current:
            new += (leaving := [each for each in ids if each in changed])
            left |= {key: len(leaving)} if leaving else {}
            continue
        alone = group.sighting.size == 1 and ids[0] in edges
        if not alone and (2 * len(ids) <= group.sighting.size or SMALL * len(ids) < len(page)):
            new += ids
            left[key] = len(ids)
            continue
        if group.missing:
            _release(session, dataset, group)
            group.is_disturbed = True
        if not alone and (leaving := [each for each in ids if each in edges]):
            new += leaving
            group.ids = [each for each in ids if each not in edges]
            group.is_disturbed = True
        if group.ids:
            kept[key] = group
        else:
            left[key] = group.sighting.size
    placed = _place(session, dataset, kept, new, edges, generation, now)
    _move(session, dataset, placed, set(unchanged))
    _note(session, kept, changed, generation, now)
    _let_go(session, left, groups)
    stayed = {each: key for key, group in kept.items() for each in group.ids}
    return stayed | placed


def _groups(
    known: Mapping[str, page_statements.KnownRecord],
    unchanged: Sequence[str],
    written: Sequence[str],
) -> tuple[dict[int, _Group], list[str]]:
    """Return the seen records of a page by their sighting, and those that have none."""
    groups: dict[int, _Group] = {}
    new: list[str] = []
    for each in (*unchanged, *written):
        before = known.get(each)
        sighting = before.sighting if before is not None else None
        if sighting is None:
            new.append(each)
        else:
            groups.setdefault(sighting.id, _Group(sighting)).ids.append(each)
    return groups, new


def _place(
    session: Session,
    dataset: Dataset,
    kept: Mapping[int, _Group],
    new: Sequence[str],
    edges: AbstractSet[str],
    generation: int,
    now: datetime,
) -> dict[str, int]:
    """Return a sighting for each record without one: those at the edges get one of their own."""
    single = [each for each in new if each in edges]
    inner = [each for each in new if each not in edges]
    large = [key for key, group in kept.items() if edges.isdisjoint(group.ids)]
    sizes = [1] * len(single)
    largest = max(large, key=lambda key: len(kept[key].ids), default=None)
    if inner and largest is None:
        sizes.append(len(inner))
    made = _make(session, dataset, sizes, generation, now)
    placed = dict(zip(single, made, strict=False))
    if inner and largest is not None:
        kept[largest].joined += len(inner)
        placed |= dict.fromkeys(inner, largest)
    elif inner:
        placed |= dict.fromkeys(inner, made[-1])
    return placed


def _make(
    session: Session, dataset: Dataset, sizes: Sequence[int], generation: int, now: datetime
) -> list[int]:
    """Make sightings of the given sizes; return their ids in the same order."""
    if not sizes:
        return []
    rows = [
        {
            "provider": dataset.provider, "resource": dataset.resource, "generation": generation,
            "seen_at": now, "size": size, "revision": 0,
        }
        for size in sizes
    ]  # fmt: skip
    statement = insert(Sighting).returning(Sighting.id, sort_by_parameter_order=True)
    return list(session.scalars(statement, rows))


def _release(session: Session, dataset: Dataset, group: _Group) -> None:
    """Let the records of a sighting that are not on the page go by their own columns again."""
    page = page_statements.page_of(session, dataset, group.ids)
    others = (
        Record.sighting_id == group.sighting.id,
        Record.sourced_id.not_in(select(page.c.sourced_id)),
    )
    own = {
        "sighting_id": None,
        "generation": group.sighting.generation,
        "last_seen": group.sighting.seen_at,
    }
    change(session, update(Record).where(*others).values(own))


def _move(
    session: Session, dataset: Dataset, placed: Mapping[str, int], unchanged: AbstractSet[str]
) -> None:
    """Write the new sightings of those records that are not written anyway."""
    by_sighting: dict[int, list[str]] = {}
    for each, key in placed.items():
        if each in unchanged:
            by_sighting.setdefault(key, []).append(each)
    for key, ids in by_sighting.items():
        named = page_statements.is_in_page(session, dataset, ids)
        change(session, update(Record).where(named).values(sighting_id=key))


def _note(
    session: Session,
    kept: Mapping[int, _Group],
    changed: AbstractSet[str],
    generation: int,
    now: datetime,
) -> None:
    rows = [
        {
            "id": key, "generation": generation, "seen_at": now,
            "size": len(group.ids) + group.joined,
            "disturbed": int(
                group.is_disturbed or group.joined > 0 or not changed.isdisjoint(group.ids)
            ),
        }
        for key, group in kept.items()
    ]  # fmt: skip
    if rows:
        _NOTE.run_each(session, rows)


def _let_go(session: Session, left: Mapping[int, int], groups: Mapping[int, _Group]) -> None:
    """Count out the records that have left sightings, and delete those that have none left."""
    rest = {key: gone for key, gone in left.items() if gone < groups[key].sighting.size}
    if rest:
        _LEAVE.run_each(session, [{"id": key, "gone": gone} for key, gone in rest.items()])
    if empty := sorted(left.keys() - rest.keys()):
        session.execute(delete(Sighting).where(Sighting.id.in_(empty)))


def see_again(
    session: Session, noted: Sequence[tuple[int, int]], generation: int, now: datetime
) -> bool:
    """Note all records of sightings as seen, if each still has its noted revision.

    Return whether they have; else nothing is changed.
    """
    columns = (Sighting.id, Sighting.revision, Sighting.size)
    rows = session.execute(select(*columns).where(Sighting.id.in_([key for key, _ in noted])))
    found = {row.id: row for row in rows}
    if {(row.id, row.revision) for row in found.values()} != set(noted):
        return False
    rows_of = [
        {
            "id": key, "generation": generation, "seen_at": now, "size": row.size,
            "disturbed": 0,
        }
        for key, row in found.items()
    ]  # fmt: skip
    if rows_of:
        _NOTE.run_each(session, rows_of)
    return True


def revisions(session: Session, ids: AbstractSet[int]) -> list[tuple[int, int]]:
    """Return the ids and revisions of sightings."""
    rows = session.execute(
        select(Sighting.id, Sighting.revision).where(Sighting.id.in_(sorted(ids)))
    )
    return sorted((row.id, row.revision) for row in rows)


def counts(session: Session, *which: ColumnElement[bool]) -> dict[int, int]:
    """Return how many of some records are in which sighting."""
    query = select(Record.sighting_id, func.count()).where(*which, Record.sighting_id.is_not(None))
    rows = session.execute(query.group_by(Record.sighting_id))
    return {key: count for key, count in rows if key is not None}


def leave(session: Session, gone: Mapping[int, int]) -> None:
    """Count out of their sightings records that were deleted, as `counts` gave them before."""
    if not gone:
        return
    _LEAVE.run_each(session, [{"id": key, "gone": count} for key, count in gone.items()])
    keys = sorted(gone)
    for begin in range(0, len(keys), CHUNK):
        some = Sighting.id.in_(keys[begin : begin + CHUNK])
        session.execute(delete(Sighting).where(some, Sighting.size <= 0))


def disturb(session: Session, provider: str, resource: str, ids: Sequence[str]) -> None:
    """Note that records have changed otherwise than by a page."""
    if ids:
        dataset = Dataset(provider=provider, resource=resource)
        theirs = select(Record.sighting_id).where(page_statements.is_in_page(session, dataset, ids))
        changed = update(Sighting).where(Sighting.id.in_(theirs))
        change(session, changed.values(revision=Sighting.revision + 1))


def is_unseen(dataset: Dataset, generation: int) -> ColumnElement[bool]:
    """The condition that a record was not seen by a generation or a later one."""
    older = select(Sighting.id).where(
        Sighting.provider == dataset.provider,
        Sighting.resource == dataset.resource,
        Sighting.generation < generation,
    )
    return or_(
        and_(Record.sighting_id.is_(None), Record.generation < generation),
        Record.sighting_id.in_(older),
    )


def seen_at() -> Any:
    """When the record of the row at hand was last seen."""
    at = select(Sighting.seen_at).where(Sighting.id == Record.sighting_id).scalar_subquery()
    return func.coalesce(at, Record.last_seen, type_=Record.last_seen.type)
