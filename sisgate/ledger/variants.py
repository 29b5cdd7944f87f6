"""Ids under which a provider gives more than one row in a list.

A teacher of two schools may come as two rows with one id, on pages far apart. Which rows belong to
an id is remembered from one sync to the next: else each sync would store the first, then merge
the second, and a list that stays the same would make changes for ever.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from sisgate.domain.records import Row, merged, orgs_of, without_orgs
from sisgate.ledger import page_statements, sightings
from sisgate.ledger.schema import Dataset, Record, Variant
from sisgate.ledger.statements import change, insert_into


class PageWrites:
    """The rows of a page, each id once. `settled` are ids whose record says it all already."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.settled: list[str] = []
        self._new: list[dict[str, Any]] = []

    @property
    def is_of_variants(self) -> bool:
        """Whether an id on the page has several rows, there or elsewhere in the list."""
        return bool(self._new)

    def note(self, dataset: Dataset, row: Row, digest: bytes, *, is_merged: bool) -> None:
        """Remember one of the rows of an id; `save` writes it."""
        self._new.append(
            {
                "provider": dataset.provider,
                "resource": dataset.resource,
                "sourced_id": row.sourced_id,
                "content_hash": digest,
                "orgs": orgs_of(row.data) or [],
                "merged": is_merged,
            }
        )

    def save(self, session: Session, dataset: Dataset, generation: int) -> None:
        """Write what was noted, after the records themselves."""
        if self._new:
            # A page that had one of these ids alone until now is to be read again.
            names = sorted({each["sourced_id"] for each in self._new})
            sightings.disturb(session, dataset.provider, dataset.resource, names)
            rows = [{**each, "generation": generation} for each in self._new]
            statement = insert_into(session, Variant)
            session.execute(
                statement.on_conflict_do_update(
                    index_elements=["provider", "resource", "sourced_id", "content_hash"],
                    set_={"generation": statement.excluded.generation},
                ),
                rows,
            )


def of_page(
    session: Session,
    dataset: Dataset,
    rows: Sequence[Row],
    known: Mapping[str, Any],
    since: datetime | None,
) -> PageWrites:
    """Return the rows of a page with those of one id merged. The dataset must be locked.

    `known` are the records there are. Those seen at `since` or later were given in this very read.
    """
    page = PageWrites()
    if len({row.sourced_id for row in rows}) == len(rows) and not any(
        (before := known.get(row.sourced_id)) is not None
        and (before.has_variants or _came_before(before, [row], since))
        for row in rows
    ):
        page.rows = list(rows)
        return page
    by_id: dict[str, dict[bytes, Row]] = {}
    for row in rows:
        by_id.setdefault(row.sourced_id, {}).setdefault(row.content_hash, row)
    for name, given in by_id.items():
        # A row that is alive says more than one that is gone.
        by_id[name] = {d: row for d, row in given.items() if not row.is_deleted} or given
    given_twice = [name for name in by_id if name in known and known[name].has_variants]
    remembered = _remembered(session, dataset, given_twice)
    suspects = {
        name
        for name, given in by_id.items()
        if len(given) > 1
        or name in remembered
        or _came_before(known.get(name), list(given.values()), since)
    }
    stored = page_statements.stored_data(session, dataset, sorted(suspects))
    for name, given in by_id.items():
        if name not in suspects or any(row.is_deleted for row in given.values()):
            page.rows.append(list(given.values())[-1])
            continue
        before, data = known.get(name), stored.get(name)
        digests = remembered.get(name, {})
        is_known = bool(digests) or _came_before(before, list(given.values()), since)
        if before is None or data is None or not is_known:
            _resolve(page, dataset, given, {}, None)
            continue
        is_merged = _resolve(page, dataset, given, digests, data)
        if not digests:
            page.note(dataset, Row(name, data, {}), before.content_hash, is_merged=is_merged)
    return page


def count_conflicts(session: Session, dataset: Dataset) -> int:
    """Return how many ids have several rows that could not be merged."""
    here = (Variant.provider == dataset.provider, Variant.resource == dataset.resource)
    query = select(func.count(Variant.sourced_id.distinct())).where(
        *here, Variant.merged.is_(False)
    )
    return session.scalar(query) or 0


def forget_unseen(
    session: Session, dataset: Dataset, generation: int, *, job_id: str, now: datetime
) -> int:
    """Forget the rows that a complete full read has not seen, and their roles; return the changes.

    The dataset must be locked.
    """
    is_unseen = (
        Variant.provider == dataset.provider,
        Variant.resource == dataset.resource,
        Variant.generation < generation,
    )
    gone: dict[str, set[str]] = {}
    for name, orgs in session.execute(select(Variant.sourced_id, Variant.orgs).where(*is_unseen)):
        gone.setdefault(name, set()).update(orgs)
    if not gone:
        return 0
    change(session, delete(Variant).where(*is_unseen))
    names = sorted(gone)
    left = _remembered(session, dataset, names)
    changed = []
    for name, data in sorted(page_statements.stored_data(session, dataset, names).items()):
        still = {org for orgs in left.get(name, {}).values() for org in orgs}
        if still and gone[name] - still:
            changed.append(Row(name, without_orgs(data, gone[name] - still), {}))
    _write(session, dataset, changed, now)
    _forget(session, dataset, [name for name in names if len(left.get(name, {})) < 2])
    ids = [row.sourced_id for row in changed]
    page_statements.add_changes(session, dataset, "update", ids, job_id=job_id, now=now)
    return len(changed)


def _resolve(
    page: PageWrites,
    dataset: Dataset,
    given: Mapping[bytes, Row],
    remembered: Mapping[bytes, Any],
    stored: Mapping[str, Any] | None,
) -> bool:
    """Put together what several rows of one id say; return whether they could be merged.

    Otherwise it is the last of them. Rows that are remembered are in `stored` already.
    """
    record: Row | None = None
    is_merged = True
    for digest, row in given.items():
        if digest in remembered:
            continue
        base = record.data if record is not None else stored
        both = merged(base, row) if base is not None else row
        is_merged = is_merged and both is not None
        record = both or row
    for digest, row in given.items():
        page.note(dataset, row, digest, is_merged=is_merged)
    if record is None:
        page.settled.append(next(iter(given.values())).sourced_id)
    else:
        page.rows.append(record)
    return is_merged


def _came_before(before: Any, given: Sequence[Row], since: datetime | None) -> bool:
    """Whether a record was given in this read with another content, and not only edited since.

    A list is read again in part, and another sync may have seen the record as it was before.
    """
    return (
        since is not None
        and before is not None
        and before.deleted_at is None
        and before.last_seen >= since
        and all(before.content_hash != row.content_hash for row in given)
        and any(row.last_modified is None or row.last_modified < since for row in given)
    )


def _remembered(
    session: Session, dataset: Dataset, ids: Sequence[str]
) -> dict[str, dict[bytes, Any]]:
    here = (Variant.provider == dataset.provider, Variant.resource == dataset.resource)
    if not ids:
        return {}
    page = page_statements.page_of(session, dataset, ids)
    found: dict[str, dict[bytes, Any]] = {}
    for row in session.scalars(
        select(Variant).where(*here, Variant.sourced_id.in_(select(page.c.sourced_id)))
    ):
        found.setdefault(row.sourced_id, {})[row.content_hash] = row.orgs
    return found


def _write(session: Session, dataset: Dataset, rows: Sequence[Row], now: datetime) -> None:
    if rows:
        place = {"provider": dataset.provider, "resource": dataset.resource, "changed_at": now}
        values = [
            {
                **place,
                "sourced_id": row.sourced_id,
                "data": dict(row.data),
                "content_hash": row.content_hash,
            }
            for row in rows
        ]
        session.execute(update(Record), values)
        ids = [row.sourced_id for row in rows]
        sightings.disturb(session, dataset.provider, dataset.resource, ids)


def _forget(session: Session, dataset: Dataset, ids: Sequence[str]) -> None:
    if ids:
        page = page_statements.page_of(session, dataset, ids)
        key = tuple_(Variant.provider, Variant.resource, Variant.sourced_id)
        named = key.in_(select(page.c.provider, page.c.resource, page.c.sourced_id))
        change(session, delete(Variant).where(named))
