"""Who read a person's records, reconstructed from the audit log and the change feed.

The event of a bulk read says which versions of a dataset the app may have seen: the number of the
newest change before and after it. The feed says when a record came and went. Together they tell
whether it was among what was read, without a row in the log for each student.

The event of a single answer keeps the names of its fields and marks of the identifiers in it. A
mark is four bytes of a keyed digest: the log names nobody, and whoever holds the key can test
whether an identifier was in the answer. Two identifiers share a mark once in four billion; for an
answer with a thousand of them, that is one false hit in four million.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.ledger import audit_log, persons
from sisgate.ledger.schema import AuditEvent, Record
from sisgate.privacy.person_search import find_owned
from sisgate.privacy.persons import PEOPLE, Person, identifiers_of, identifies, leaves
from sisgate.privacy.suppression import PersonKey

MARK_BYTES = 4
MOST_MARKS = 2000
"""An answer with more identifiers has no marks: its event would be larger than 11 kB."""
MOST_FIELDS = 80

_FIELD = re.compile(r"[A-Za-z_@$][A-Za-z_@$.]{0,40}")
"""Names of fields, as SIS write them. A key with a digit may be somebody's number."""

Mark = Callable[[str], bytes]
"""Returns the keyed digest of an identifier."""


def content_of(body: bytes, mark: Mark) -> dict[str, Any]:
    """Return what an event keeps of an answer: `fields`, and `marks` as base64.

    Without `marks` nobody can tell who was in it: it is not JSON, or holds too many identifiers.
    """
    if not body.strip():
        return {"fields": [], "marks": ""}
    try:
        pairs = list(leaves(json.loads(body)))
    except (ValueError, RecursionError):
        return {}
    fields = sorted({name for name, _ in pairs if _FIELD.fullmatch(name)})[:MOST_FIELDS]
    named = {str(value).strip() for name, value in pairs if identifies(name, value)}
    if len(named) > MOST_MARKS:
        return {"fields": fields}
    return {"fields": fields, "marks": marks_of(named, mark)}


def marks_of(identifiers: set[str], mark: Mark) -> str:
    """Return the marks of identifiers as base64, in an order that says nothing about theirs."""
    return b64encode(b"".join(sorted(mark(each)[:MARK_BYTES] for each in identifiers))).decode()


def is_named(content: Mapping[str, Any], identifiers: set[str], mark: Mark) -> bool | None:
    """Return whether one of the identifiers was in an answer; None where nobody can tell.

    >>> mark = lambda text: text.encode().ljust(8)
    >>> kept = content_of(b'{"students": [{"id": 17, "local_id": "S-9"}]}', mark)
    >>> is_named(kept, {"S-9"}, mark), is_named(kept, {"18"}, mark), is_named({}, {"17"}, mark)
    (True, False, None)
    """
    if "marks" not in content:
        return None
    marks = b64decode(content["marks"])
    held = {marks[n : n + MARK_BYTES] for n in range(0, len(marks), MARK_BYTES)}
    return any(mark(each)[:MARK_BYTES] in held for each in identifiers)


What = Literal["records", "changes", "request", "answer"]

_CALLS: Mapping[str, What] = {
    events.REQUEST_DISCLOSED: "request",
    events.ANSWER_DISCLOSED: "answer",
}
_NEWEST = (1 << 63) - 1


@dataclass(frozen=True)
class PersonDisclosure:
    """One time that a person's data was given to somebody.

    `what` is `records`, `changes`, `request` (what it asked for was shown) or `answer`; `place` is
    the dataset, or the job of a request. `fields` are the names of the fields that were given, None
    for all of the record. `is_certain` is False where it cannot be told: the reader stopped early,
    or the answer cannot be searched.
    """

    at: datetime
    actor: str
    user: str | None
    what: What
    place: str
    fields: tuple[str, ...] | None
    purpose: str | None
    request_id: str | None
    is_certain: bool


@dataclass(frozen=True)
class Presence:
    """When one record was in its dataset, according to its changes. Numbers ascend.

    With `erased_at` the changes are those of an erased person: all of them deletions by now, of
    which the first was the insertion.
    """

    sourced_id: str
    changes: Sequence[tuple[int, str]]
    first_seen: datetime | None = None
    erased_at: datetime | None = None

    def within(self, low: int, high: int, at: datetime) -> bool:
        """Return whether the record was there at any version from `low` to `high`, read at `at`.

        >>> gone = Presence("7", [(3, "insert"), (8, "delete")])
        >>> now = datetime(2026, 9, 1)
        >>> [gone.within(*each, now) for each in ((0, 2), (2, 3), (5, 6), (8, 9))]
        [False, True, True, False]
        """
        if not self.changes:
            return self.first_seen is not None and self.first_seen <= at
        if self.erased_at is not None:
            return self.changes[0][0] <= high and at < self.erased_at
        before = [operation for number, operation in self.changes if number <= low]
        was_there = before[-1] != "delete" if before else self.changes[0][1] != "insert"
        return was_there or any(
            low < number <= high and operation != "delete" for number, operation in self.changes
        )

    def began(self, high: int, at: datetime) -> bool:
        """Return whether the record had come by the version `high`, read at `at`."""
        if not self.changes:
            return self.first_seen is not None and self.first_seen <= at
        number, operation = self.changes[0]
        return number <= high or (operation != "insert" and self.erased_at is None)

    def changed(self, since: int, through: int) -> bool:
        """Return whether a change of the record has a number above `since`, up to `through`."""
        return any(since < number <= through for number, _ in self.changes)


def disclosures_of(
    session: Session,
    person: Person,
    key: PersonKey,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[PersonDisclosure]:
    """Return the disclosures of a person's records and of responses naming them, in order."""
    owned = find_owned(session, person)
    presences = _presences(session, person, owned, key)
    own = [record.data for record in owned if record.resource in PEOPLE]
    identifiers = {person.sourced_id} | identifiers_of(own)
    mark = partial(key.mark, person.provider)
    reads: dict[str, tuple[AuditEvent, Mapping[str, Any]]] = {}
    disclosures: list[PersonDisclosure] = []
    query = audit_log.AuditFilter(provider=person.provider, since=since, until=until)
    for event in audit_log.search(session, query, [*_CALLS, events.RECORDS_DISCLOSED]):
        detail: dict[str, Any] = json.loads(event.detail_text or "{}")
        if (what := _CALLS.get(event.action)) is not None:
            named = is_named(detail, identifiers, mark)
            if named is not False:
                fields = tuple(detail.get("fields") or ())
                disclosures.append(_disclosure(event, detail, what, fields, is_certain=bool(named)))
        elif detail.get("phase") == "begin":
            reads[detail.get("read") or f"{event.writer}/{event.number}"] = (event, detail)
        elif (begun := reads.pop(str(detail.get("read")), None)) is not None:
            disclosures += _of_read(*begun, detail, presences, mark)
    for begun in reads.values():
        # Its reader died, or is still reading, or the event is older than versions in the log.
        disclosures += _of_read(*begun, {}, presences, mark)
    return sorted(disclosures, key=lambda each: each.at)


def _presences(
    session: Session, person: Person, owned: Sequence[Record], key: PersonKey
) -> Mapping[str, Sequence[Presence]]:
    """Return, by dataset, when each of the person's records was there."""
    first_seen: dict[tuple[str, str], datetime | None] = {
        (record.resource, record.sourced_id): record.first_seen for record in owned
    }
    for resource in (*PEOPLE, "demographics"):
        if resource == "demographics" or person.realms.of_resource(resource) == person.realm:
            first_seen.setdefault((resource, person.sourced_id), None)
    pseudonym = key.pseudonym(person.provider, person.realm, person.sourced_id)
    query = audit_log.AuditFilter(action="privacy:person:erase", subjects=(pseudonym,))
    erasures = audit_log.tail(session, query, limit=1)
    erased_at = erasures[0].at if erasures else None
    presences: dict[str, list[Presence]] = {}
    for (resource, sourced_id), seen in first_seen.items():
        of_dataset = presences.setdefault(resource, [])
        changes = persons.changes_of(session, person.provider, resource, sourced_id)
        if changes or seen is not None:
            of_dataset.append(Presence(sourced_id, changes, seen))
        erased = key.pseudonym(person.provider, resource, sourced_id)
        if erased_at is not None and (
            changes := persons.changes_of(session, person.provider, resource, erased)
        ):
            of_dataset.append(Presence(sourced_id, changes, erased_at=erased_at))
    return presences


def _of_read(
    event: AuditEvent,
    begin: Mapping[str, Any],
    end: Mapping[str, Any],
    presences: Mapping[str, Sequence[Presence]],
    mark: Mark,
) -> Iterator[PersonDisclosure]:
    dataset = event.subject.partition("/")[2]
    what: Literal["records", "changes"] = "changes" if begin.get("what") == "changes" else "records"
    low: int | None = begin.get("since" if what == "changes" else "version")
    # Without an end nobody knows how far it went: as far as there was anything.
    through: int | None = end.get("through")
    high = through if through is not None else low if what == "records" else _NEWEST
    for presence in presences.get(dataset, ()):
        if low is None or high is None:
            there, certain = True, False
        elif "marks" in end:
            # The reader stopped early: what was given by then is marked one by one.
            place = {f"{dataset}/{presence.sourced_id}"}
            there, certain = bool(is_named(end, place, mark)), True
        elif what == "changes":
            there, certain = presence.changed(low, high), through is not None
        else:
            was = presence.began(high, event.at) if begin.get("deleted") else None
            there = presence.within(low, high, event.at) if was is None else was
            certain = bool(end.get("complete"))
        if there:
            yield _disclosure(event, begin, what, None, is_certain=certain)
            return


def _disclosure(
    event: AuditEvent,
    detail: Mapping[str, Any],
    what: What,
    fields: tuple[str, ...] | None,
    *,
    is_certain: bool,
) -> PersonDisclosure:
    return PersonDisclosure(
        event.at, event.actor, detail.get("user"), what, event.subject, fields, event.reason,
        event.request_id or event.job_id, is_certain,
    )  # fmt: skip
