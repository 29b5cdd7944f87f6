"""Where a person is in the ledger: their records, what refers to them, and what is left of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import JSON, ColumnElement, String, Table, Text, and_, cast, func, or_, select
from sqlalchemy.orm import Session

from sisgate.domain.records import Row
from sisgate.ledger.schema import Base, Record
from sisgate.privacy.persons import PEOPLE, Person, PersonMatcher, leaves

CHUNK = 500

Kind = Literal["identifier", "name", "elsewhere"]


@dataclass(frozen=True)
class Mention:
    """A record of somebody or something else, as it is without its references to the person."""

    resource: str
    row: Row


@dataclass(frozen=True)
class ResidualMatch:
    """What still names the person: in which column, in how many rows.

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
        """Return the fields JSON-ready."""
        return asdict(self)


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
    return [each for each in session.scalars(query) if person.owns(each.resource, each.data)]


def find_mentions(session: Session, person: Person) -> Sequence[Mention]:
    """Return the records of others that refer to the person, without the references."""
    query = select(Record).where(
        Record.provider == person.provider,
        _contains(Record.data, person.sourced_id) | _contains(Record.original, person.sourced_id),
    )
    mentions = []
    for record in session.scalars(query.execution_options(yield_per=CHUNK)):
        if person.owns(record.resource, record.data):
            continue
        row = Row(record.sourced_id, record.data, record.original)
        without = person.realms.without(record.resource, row, person.is_it)
        if without is not row:
            mentions.append(Mention(record.resource, without))
        session.expunge(record)
    return mentions


def find_residual_data(
    session: Session, person: Person, matcher: PersonMatcher
) -> list[ResidualMatch]:
    """Search the text and JSON columns of all tables; return what still names the person."""
    brought = "a sync has brought it meanwhile: erase once more"
    returned = (len(find_owned(session, person)), len(find_mentions(session, person)))
    matches = [
        ResidualMatch("records", "data", rows, "identifier", brought) for rows in returned if rows
    ]
    for table in Base.metadata.sorted_tables:
        counts: Counter[tuple[str, Kind, str]] = Counter()
        for row in _suspects(session, table, matcher):
            provider = str(row.get("provider", person.provider))
            for column, text in _texts(table.name, row):
                if matcher.has_identifier(text):
                    kind: Kind = "identifier" if provider == person.provider else "elsewhere"
                elif matcher.has_names(text):
                    kind = "name"
                else:
                    continue
                counts[column, kind, _NOTES[kind].format(provider=provider)] += 1
        matches += [
            ResidualMatch(table.name, column, rows, kind, note)
            for (column, kind, note), rows in sorted(counts.items())
        ]
    return matches


_NOTES: Mapping[Kind, str] = {
    "identifier": "look at it by hand",
    "name": "somebody of the same name, if it is another person's",
    "elsewhere": "of {provider}: erase there too, if it is the same person",
}

_SETTINGS = frozenset({"audit_configurations", "audit_seals", "controls"})
"""Tables that hold only what sisgate counts and what is set: a number there is nobody's id."""

_FROM_PROVIDERS = frozenset({"data", "original"})
"""Columns in which a number may be somebody's id; elsewhere it counts or numbers something."""

_OWN_REFERENCE = re.compile(r"\b(?:call|job|message)/\S+")
"""What an event is about, by an id of ours: `call/1042`."""


def _suspects(session: Session, table: Table, matcher: PersonMatcher) -> Iterator[dict[str, Any]]:
    """Yield the rows that may name the person, as far as SQL can tell."""
    columns = [c for c in table.columns if isinstance(c.type, String | Text | JSON)]
    hits: list[ColumnElement[bool]] = []
    for column in columns:
        hits += [_contains(column, each) for each in matcher.distinctive]
        hits += [and_(_contains(column, a), _contains(column, b)) for a, b in matcher.names]
    if not hits or table.name in _SETTINGS:
        return
    query = select(*columns).where(or_(*hits)).execution_options(yield_per=CHUNK)
    for row in session.execute(query).mappings():
        yield dict(row)


def _contains(column: Any, text: str) -> ColumnElement[bool]:
    # As it is written in JSON, where a quotation mark is escaped; a plain text rarely has one.
    written = json.dumps(text, ensure_ascii=False)[1:-1].lower()
    return func.lower(cast(column, Text)).contains(written, autoescape=True)


def _texts(table: str, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the columns of a row and the text in each that may name somebody."""
    for column, value in row.items():
        if table == "audit_events" and isinstance(value, str):
            yield column, _text_of_event(column, value)
        elif isinstance(value, str):
            yield column, value
        elif value is not None:
            yield column, _strings(value, numbers=column in _FROM_PROVIDERS)


def _text_of_event(column: str, value: str) -> str:
    if column == "detail":
        with suppress(ValueError):  # garbled: verification of the log reports it
            return _strings(json.loads(value))
    return _OWN_REFERENCE.sub("", value)


def _strings(value: Any, *, numbers: bool = False) -> str:
    kinds = str | int | float if numbers else str
    return "\n".join(str(leaf) for _, leaf in leaves(value) if isinstance(leaf, kinds))
