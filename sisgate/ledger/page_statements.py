"""The statements that write a page: each takes the whole page, whatever its size.

Plans must not depend on statistics. PostgreSQL takes a table that it has not yet analysed for one
where provider and resource select next to nothing; it would go through the whole dataset for each
page, which is quadratic in a first load. So the keys of a page are a relation of their own, which
the planner cannot look into and which leads to the primary key.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    JSON,
    BigInteger,
    ClauseElement,
    ColumnElement,
    FromClause,
    Select,
    String,
    Text,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy import column as column_of
from sqlalchemy.orm import Session

from sisgate.domain.records import Row
from sisgate.ledger.prepared import Prepared, given
from sisgate.ledger.schema import (
    Change,
    Dataset,
    Record,
    Sighting,
    UtcDateTime,
    Variant,
    serialise_json,
)
from sisgate.ledger.statements import is_postgresql

_COLUMNS = """
    provider, resource, sourced_id, data, original, content_hash, sighting_id,
    generation, first_seen, last_seen, changed_at
"""
_ON_CONFLICT = """
    ON CONFLICT (provider, resource, sourced_id) DO UPDATE SET
        data = excluded.data,
        original = excluded.original,
        content_hash = excluded.content_hash,
        sighting_id = excluded.sighting_id,
        changed_at = excluded.changed_at,
        deleted_at = NULL
"""
# SQLite runs in this process: stepping one prepared statement over the rows is its fastest way.
_UPSERT_SQLITE = f"""
    INSERT INTO records AS known ({_COLUMNS})
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {_ON_CONFLICT}
"""  # noqa: S608 - made of constants
# `b` sends arrays in binary form; the text form is escaped element by element in Python.
_INSERT_POSTGRESQL = f"""
    INSERT INTO records AS known ({_COLUMNS})
    SELECT
        %(provider)s, %(resource)s, page.sourced_id, page.data::jsonb, page.original,
        page.content_hash, page.sighting_id, %(generation)s, %(now)s, %(now)s, %(now)s
    FROM unnest(
        %(ids)b::text[], %(data)b::text[], %(originals)b::text[], %(hashes)b::bytea[],
        %(sightings)b::int8[]
    ) AS page (sourced_id, data, original, content_hash, sighting_id)
"""  # noqa: S608 - made of constants

_CHANGE_COLUMNS = [
    "provider", "resource", "sequence", "operation", "sourced_id", "job_id", "changed_at",
]  # fmt: skip


class KnownRecord(NamedTuple):
    """What is stored of a record. `sighting` has its generation, time and size, where it has one.

    `has_variants`: the provider gives several rows under the id.
    """

    content_hash: bytes
    deleted_at: datetime | None
    last_seen: datetime
    has_variants: bool
    sighting: Any


def _known(is_postgresql: bool) -> ClauseElement:
    # A record's own time is not read where it does not count: there are a thousand of them.
    own_time = case((Record.sighting_id.is_(None), Record.last_seen), else_=None).label("own_time")
    key = (Record.provider, Record.resource, Record.sourced_id)
    columns = (*key, Record.content_hash, Record.deleted_at, own_time, Record.sighting_id)
    page = _page(is_postgresql, given("provider"), given("resource"), given("ids", Text()))
    found: FromClause
    if is_postgresql:
        # Not merged with the rest, because of its offset: for each id a look at the primary key.
        same = (mine == theirs for mine, theirs in zip(key, page.c, strict=False))
        found = select(*columns).where(*same).offset(0).lateral("known")
        query = select(found).select_from(page.join(found, true()))
    else:
        found = select(*columns).where(tuple_(*key).in_(_keys(page))).subquery("known")
        query = select(found)
    variant = (Variant.provider, Variant.resource, Variant.sourced_id)
    same = (mine == theirs for mine, theirs in zip(variant, found.c, strict=False))
    return query.with_only_columns(*found.c[2:], exists().where(*same), maintain_column_froms=True)


_KNOWN = Prepared(_known, is_planned_anew=True)


def _add_changes(is_postgresql: bool) -> ClauseElement:
    page = _page(is_postgresql, given("provider"), given("resource"), given("ids", Text()))
    changes = select(
        page.c.provider,
        page.c.resource,
        given("last", BigInteger()) + page.c.place,
        given("operation", String()),
        page.c.sourced_id,
        given("job_id", String()),
        given("now", UtcDateTime()),
    )
    statement: ClauseElement = insert(Change).from_select(_CHANGE_COLUMNS, changes)
    return statement


_ADD_CHANGES = Prepared(_add_changes)


def known(session: Session, dataset: Dataset, ids: Sequence[str]) -> dict[str, KnownRecord]:
    """Return what is stored of those ids that have a record."""
    if not ids:
        return {}
    page = {"provider": dataset.provider, "resource": dataset.resource, "ids": serialise_json(ids)}
    rows = _KNOWN.run(session, page)
    named = {row[4] for row in rows if row[4] is not None}
    together = {}
    if named:
        columns = (Sighting.id, Sighting.generation, Sighting.seen_at, Sighting.size)
        found = session.execute(select(*columns).where(Sighting.id.in_(sorted(named))))
        together = {each.id: each for each in found}
    stored = {}
    for name, content, deleted_at, last_seen, key, has_variants in rows:
        seen = together.get(key)
        at = last_seen if seen is None else seen.seen_at
        stored[name] = KnownRecord(bytes(content), deleted_at, at, bool(has_variants), seen)
    return stored


def stored_data(session: Session, dataset: Dataset, ids: Sequence[str]) -> dict[str, Any]:
    """Return the data of those ids that have a live record."""
    if not ids:
        return {}
    query = select(Record.sourced_id, Record.data).where(Record.deleted_at.is_(None))
    found = session.execute(query.where(is_in_page(session, dataset, ids)))
    return {row.sourced_id: row.data for row in found}


def upsert(
    session: Session,
    dataset: Dataset,
    rows: Sequence[Row],
    seen: Mapping[str, int],
    generation: int,
    now: datetime,
    *,
    are_new: bool = False,
) -> None:
    """Insert rows or replace what is stored of them. `seen` are their sightings by id.

    `are_new`: none of them is stored, so that PostgreSQL need not look for conflicts.
    """
    if not rows:
        return
    connection = session.connection()
    if is_postgresql(session):
        page = {
            "provider": dataset.provider,
            "resource": dataset.resource,
            "ids": [row.sourced_id for row in rows],
            "data": [row.data_json for row in rows],
            "originals": [row.original_json for row in rows],
            "hashes": [row.content_hash for row in rows],
            "sightings": [seen[row.sourced_id] for row in rows],
            "generation": generation,
            "now": now,
        }
        statement = _INSERT_POSTGRESQL if are_new else _INSERT_POSTGRESQL + _ON_CONFLICT
        connection.exec_driver_sql(statement, page)
        return
    # The driver's own way of writing times ends with Python 3.12, and is not that of the ORM.
    dialect = connection.dialect
    as_stored = UtcDateTime().dialect_impl(dialect).bind_processor(dialect)
    assert as_stored is not None
    start, moment = (dataset.provider, dataset.resource), as_stored(now)
    end = (generation, moment, moment, moment)
    values = [
        (
            *start, row.sourced_id, row.data_json, row.original_json, row.content_hash,
            seen[row.sourced_id], *end,
        )
        for row in rows
    ]  # fmt: skip
    connection.exec_driver_sql(_UPSERT_SQLITE, values)


def add_changes(
    session: Session,
    dataset: Dataset,
    operation: str,
    ids: Sequence[str],
    *,
    job_id: str,
    now: datetime,
) -> None:
    """Number one change for each id, in their order."""
    if not ids:
        return
    page = {
        "provider": dataset.provider, "resource": dataset.resource, "ids": serialise_json(ids),
        "last": dataset.last_sequence, "operation": operation, "job_id": job_id, "now": now,
    }  # fmt: skip
    _ADD_CHANGES.run(session, page)
    dataset.last_sequence += len(ids)
    session.flush()


def is_in_page(session: Session, dataset: Dataset, ids: Sequence[str]) -> ColumnElement[bool]:
    """The condition that a record is one of a dataset's with these ids."""
    key = tuple_(Record.provider, Record.resource, Record.sourced_id)
    return key.in_(_keys(page_of(session, dataset, ids)))


def page_of(session: Session, dataset: Dataset, ids: Sequence[str]) -> CTE:
    """Return the keys of a page, each with its place from 1, from one parameter of JSON."""
    given_ids = literal(serialise_json(ids), Text())
    here = literal(dataset.provider), literal(dataset.resource)
    return _page(is_postgresql(session), *here, given_ids)


def _keys(page: CTE) -> Select[Any]:
    return select(page.c.provider, page.c.resource, page.c.sourced_id)


def _page(
    is_postgresql: bool,
    provider: ColumnElement[str],
    resource: ColumnElement[str],
    ids: ColumnElement[str],
) -> CTE:
    value = column_of("value", String())
    place: ColumnElement[int]
    if is_postgresql:
        unnested = func.json_array_elements_text(cast(ids, JSON()))
        listed = unnested.table_valued(value, with_ordinality="place", name="listed")
        listed = listed.render_derived()
        place = listed.c.place
    else:
        listed = func.json_each(ids).table_valued("key", value, name="listed")
        place = listed.c.key + 1
    page = select(
        provider.label("provider"),
        resource.label("resource"),
        listed.c.value.label("sourced_id"),
        place.label("place"),
    )
    return page.cte("page").prefix_with("MATERIALIZED", dialect="postgresql")
