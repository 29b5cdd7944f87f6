"""The statements that write a page: each takes the whole page, whatever its size.

Plans must not depend on statistics. PostgreSQL takes a table that it has not yet analysed for one
where provider and resource select next to nothing; it would go through the whole dataset for each
page, which is quadratic in a first load. So the keys of a page are a relation of their own, which
the planner cannot look into and which leads to the primary key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    JSON,
    ColumnElement,
    String,
    Text,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    select,
    tuple_,
)
from sqlalchemy import column as column_of
from sqlalchemy.orm import Session

from sisgate.domain.records import Row
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
_UPSERT_POSTGRESQL = f"""
    INSERT INTO records AS known ({_COLUMNS})
    SELECT
        %(provider)s, %(resource)s, page.sourced_id, page.data::jsonb, page.original::jsonb,
        page.content_hash, page.sighting_id, %(generation)s, %(now)s, %(now)s, %(now)s
    FROM unnest(
        %(ids)b::text[], %(data)b::text[], %(originals)b::text[], %(hashes)b::bytea[],
        %(sightings)b::int8[]
    ) AS page (sourced_id, data, original, content_hash, sighting_id)
    {_ON_CONFLICT}
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


def known(session: Session, dataset: Dataset, ids: Sequence[str]) -> dict[str, KnownRecord]:
    """Return what is stored of those ids that have a record."""
    if not ids:
        return {}
    names = ("provider", "resource", "sourced_id")
    same_key = [getattr(Record, name) == getattr(Variant, name) for name in names]
    # A record's own time is not read where it does not count: there are a thousand of them.
    own = case((Record.sighting_id.is_(None), Record.last_seen), else_=None)
    query = select(
        Record.sourced_id,
        Record.content_hash,
        Record.deleted_at,
        own,
        exists().where(*same_key),
        Record.sighting_id,
    )
    rows = session.execute(query.where(is_in_page(session, dataset, ids))).all()
    named = {row[5] for row in rows if row[5] is not None}
    together = {}
    if named:
        columns = (Sighting.id, Sighting.generation, Sighting.seen_at, Sighting.size)
        found = session.execute(select(*columns).where(Sighting.id.in_(sorted(named))))
        together = {each.id: each for each in found}
    stored = {}
    for name, content, deleted_at, last_seen, has_variants, key in rows:
        seen = together.get(key)
        at = last_seen if seen is None else seen.seen_at
        stored[name] = KnownRecord(content, deleted_at, at, has_variants, seen)
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
) -> None:
    """Insert rows or replace what is stored of them. `seen` are their sightings by id."""
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
        connection.exec_driver_sql(_UPSERT_POSTGRESQL, page)
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
    page = page_of(session, dataset, ids)
    changes = select(
        page.c.provider,
        page.c.resource,
        literal(dataset.last_sequence) + page.c.place,
        literal(operation),
        page.c.sourced_id,
        literal(job_id),
        literal(now, UtcDateTime()),
    )
    session.execute(insert(Change).from_select(_CHANGE_COLUMNS, changes))
    dataset.last_sequence += len(ids)
    session.flush()


def is_in_page(session: Session, dataset: Dataset, ids: Sequence[str]) -> ColumnElement[bool]:
    """The condition that a record is one of a dataset's with these ids."""
    page = page_of(session, dataset, ids)
    key = tuple_(Record.provider, Record.resource, Record.sourced_id)
    return key.in_(select(page.c.provider, page.c.resource, page.c.sourced_id))


def page_of(session: Session, dataset: Dataset, ids: Sequence[str]) -> CTE:
    """Return the keys of a page, each with its place from 1, from one parameter of JSON."""
    text = serialise_json(ids)
    value = column_of("value", String())
    place: ColumnElement[int]
    if is_postgresql(session):
        array = cast(literal(text, Text()), JSON())
        unnested = func.json_array_elements_text(array)
        listed = unnested.table_valued(value, with_ordinality="place", name="listed")
        listed = listed.render_derived()
        place = listed.c.place
    else:
        listed = func.json_each(text).table_valued("key", value, name="listed")
        place = listed.c.key + 1
    page = select(
        literal(dataset.provider).label("provider"),
        literal(dataset.resource).label("resource"),
        listed.c.value.label("sourced_id"),
        place.label("place"),
    )
    return page.cte("page").prefix_with("MATERIALIZED", dialect="postgresql")
