"""Where a person is in the ledger: their records, what refers to them, and what is left of them."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from sisgate.domain.records import Row
from sisgate.ledger import persons
from sisgate.ledger.schema import Record
from sisgate.privacy.persons import PEOPLE, Person, PersonMatcher, leaves

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
    resources = [*PEOPLE, "demographics"]
    records = persons.records_of(session, person.provider, person.sourced_id, resources)
    return [record for record in records if person.owns(record.resource, record.data)]


def find_mentions(session: Session, person: Person) -> Sequence[Mention]:
    """Return the records of others that refer to the person, without the references."""
    mentions = []
    rows = persons.records_containing(session, person.provider, person.sourced_id)
    for resource, sourced_id, data, original in rows:
        if person.owns(resource, data):
            continue
        row = Row(sourced_id, data, original)
        without = person.realms.without(resource, row, person.is_it)
        if without is not row:
            mentions.append(Mention(resource, without))
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
    any_of = [*([each] for each in matcher.distinctive), *matcher.names]
    for table in persons.TABLES:
        if table.name in _SETTINGS:
            continue
        counts: Counter[tuple[str, Kind, str]] = Counter()
        for row in persons.rows_containing(session, table, any_of):
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

_SETTINGS = frozenset(
    {"audit_configurations", "audit_seals", "controls", "webhook_messages", "webhook_outbox"}
)
"""Tables that hold only what sisgate counts and what is set: a number there is nobody's id."""

_FROM_PROVIDERS = frozenset({"data", "original"})
"""Columns in which a number may be somebody's id; elsewhere it counts or numbers something."""

_OWN_REFERENCE = re.compile(r"\b(?:call|job|message)/\S+")
"""What an event is about, by an id of ours: `call/1042`."""


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
