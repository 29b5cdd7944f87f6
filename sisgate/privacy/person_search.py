"""Finding a person's records, the records that mention them, and whatever is left of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    ColumnElement,
    String,
    Table,
    Text,
    and_,
    cast,
    false,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session

from sisgate.domain.records import Row
from sisgate.ledger.schema import Base, Record
from sisgate.privacy.persons import PEOPLE, PersonMatcher, Realms

CHUNK = 500

Kind = Literal["identifier", "name", "elsewhere"]


@dataclass(frozen=True)
class Person:
    """One person of a provider: an id in one of the provider's realms."""

    provider: str
    realms: Realms
    realm: str
    sourced_id: str

    def is_it(self, realm: str, sourced_id: str) -> bool:
        """Whether an id of a realm is this person's."""
        return (realm, sourced_id) == (self.realm, self.sourced_id)

    def owns(self, record: Record) -> bool:
        """Whether a record is this person's."""
        return self.realms.owner(record.resource, record.data) == (self.realm, self.sourced_id)


@dataclass(frozen=True)
class Mention:
    """A record of somebody or something else, as it is without its references to the person."""

    resource: str
    row: Row


@dataclass(frozen=True)
class ResidualMatch:
    """Something that was found: in which column, in how many rows.

    An `identifier` names the person alone. A `name` is given and family name together, which
    another person may have too. `elsewhere` is an identifier in what another provider sent, whose
    ids are its own: perhaps the same person, perhaps not. `note` says what to do about it.
    """

    table: str
    column: str
    rows: int
    kind: Kind
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "table": self.table,
            "column": self.column,
            "rows": self.rows,
            "kind": self.kind,
            "note": self.note,
        }


def find_owned(session: Session, person: Person) -> Sequence[Record]:
    """Return the person's records: their own, their demographics, their enrollments."""
    user = Record.data["user"]
    by_id = Record.resource.in_([*PEOPLE, "demographics"]) & (
        Record.sourced_id == person.sourced_id
    )
    by_user = (Record.resource == "enrollments") & or_(
        user["sourcedId"].as_string() == person.sourced_id,
        user.as_string() == person.sourced_id,
    )
    query = select(Record).where(Record.provider == person.provider, by_id | by_user)
    return [record for record in session.scalars(query) if person.owns(record)]


def find_mentions(session: Session, person: Person) -> Sequence[Mention]:
    """Return the records of others that refer to the person, without the references."""
    query = select(Record).where(
        Record.provider == person.provider,
        _has(Record.data, person.sourced_id) | _has(Record.original, person.sourced_id),
    )
    found = []
    for record in session.scalars(query.execution_options(yield_per=CHUNK)):
        if person.owns(record):
            continue
        row = Row(record.sourced_id, record.data, record.original)
        without = person.realms.without(record.resource, row, person.is_it)
        if without is not row:
            found.append(Mention(record.resource, without))
        session.expunge(record)
    return found


def find_residual_data(
    session: Session, person: Person, matcher: PersonMatcher
) -> list[ResidualMatch]:
    """Search every text and JSON column of every table; return what names the person still."""
    found = [
        ResidualMatch("records", "data", count, "identifier", note)
        for count, note in (
            (len(find_owned(session, person)), "a sync has brought it meanwhile: erase once more"),
            (
                len(find_mentions(session, person)),
                "a sync has brought it meanwhile: erase once more",
            ),
        )
        if count
    ]
    for table in Base.metadata.sorted_tables:
        counts: Counter[tuple[str, Kind, str]] = Counter()
        for row in _suspects(session, table, matcher):
            provider = str(row.get("provider", person.provider))
            for column, text in _texts(row):
                if matcher.identify(text):
                    kind: Kind = "identifier" if provider == person.provider else "elsewhere"
                elif matcher.name(text):
                    kind = "name"
                else:
                    continue
                counts[column, kind, _NOTES[kind].format(provider=provider)] += 1
        found += [
            ResidualMatch(table.name, column, rows, kind, note)
            for (column, kind, note), rows in sorted(counts.items())
        ]
    return found


_NOTES: Mapping[Kind, str] = {
    "identifier": "look at it by hand",
    "name": "somebody of the same name, if it is another person's",
    "elsewhere": "of {provider}: erase there too, if it is the same person",
}


def _suspects(
    session: Session, table: Table, matcher: PersonMatcher
) -> Iterator[Mapping[str, Any]]:
    columns = [c for c in table.columns if isinstance(c.type, String | Text | JSON)]
    hits: list[ColumnElement[bool]] = []
    for column in columns:
        hits += [_has(column, each) for each in matcher.telling]
        hits += [and_(_has(column, a), _has(column, b)) for a, b in matcher.names]
    if not hits:
        return
    query = select(*columns).where(or_(false(), *hits)).execution_options(yield_per=CHUNK)
    for row in session.execute(query).mappings():
        yield dict(row)


def _has(column: Any, words: str) -> ColumnElement[bool]:
    # As it stands in JSON, where a quotation mark is escaped; a plain text rarely has one.
    written = json.dumps(words, ensure_ascii=False)[1:-1].lower()
    return func.lower(cast(column, Text)).contains(written, autoescape=True)


def _texts(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for column, value in row.items():
        if isinstance(value, str):
            yield column, value
        elif value is not None:
            yield column, "\n".join(_leaves(value))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif value is not None:
        yield str(value)
