"""Who a person is: their ids, their records, what refers to them, and how text is matched. Pure.

OneRoster gives all users one set of ids. PowerSchool numbers students and staff separately, so a
student and a teacher may share an id: there a person is an id in one of the two sets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args
from urllib.parse import unquote, unquote_plus

from sisgate.domain.choices import PersonResource
from sisgate.domain.records import Row
from sisgate.domain.targets import body_of
from sisgate.errors import UsageError
from sisgate.settings import ProviderConfig

PEOPLE = get_args(PersonResource)
"""The resources whose records are persons."""

_PERSON_TYPES = frozenset({"user", "student", "teacher", "guardian", "parent", "relative", ""})
_OWN_NUMBERS = frozenset({"powerschool"})

IsPerson = Callable[[str, str], bool]
"""Called with a realm and an id: is this the person that is looked for?"""


def checked_resource(resource: str | None) -> str | None:
    """Return a resource whose records are persons, or None; `UsageError` for another."""
    if resource is not None and resource not in PEOPLE:
        raise UsageError(f"A person is in {' or '.join(PEOPLE)}, not in {resource!r}.")
    return resource


@dataclass(frozen=True)
class Realms:
    """The sets of ids of one provider: `users`, or `students` and `teachers` apart."""

    apart: bool

    @classmethod
    def of(cls, config: ProviderConfig) -> Realms:
        """Return the realms of a provider's kind."""
        return cls(config.kind in _OWN_NUMBERS)

    def of_resource(self, resource: str) -> str:
        """Return the realm of the ids of students or teachers."""
        return resource if self.apart else "users"

    def owner(self, resource: str, data: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return realm and id of the person whose record it is, None if it is nobody's.

        >>> Realms(apart=True).owner("demographics", {"sourcedId": "7"})
        ('students', '7')
        """
        own = str(data.get("sourcedId"))
        if resource in PEOPLE:
            return self.of_resource(resource), own
        if resource == "demographics":
            return self.of_resource("students"), own
        if resource == "enrollments":
            user = data.get("user")
            user_id = user.get("sourcedId") if isinstance(user, Mapping) else user
            role = "teachers" if data.get("role") == "teacher" else "students"
            return (self.of_resource(role), str(user_id)) if user_id is not None else None
        return None

    def without(self, resource: str, row: Row, is_person: IsPerson) -> Row:
        """Return a row without its references to a person, or the row itself if it has none."""
        realm = self.of_resource("students")

        def known(user_id: Any) -> bool:
            return is_person(realm, str(user_id))

        data = _without_references(row.data, known)
        metadata = data.get("metadata")
        if resource == "classes" and isinstance(metadata, Mapping):
            teacher = metadata.get("primaryTeacher")
            if teacher is not None and is_person(self.of_resource("teachers"), str(teacher)):
                rest = {k: v for k, v in metadata.items() if k != "primaryTeacher"}
                # The provider's own form names the teacher in fields that only its dialect knows.
                return Row(row.sourced_id, {**data, "metadata": rest}, {})
        if data is row.data:
            return row
        return Row(row.sourced_id, data, _without_references(row.original, known))


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

    def owns(self, resource: str, data: Mapping[str, Any]) -> bool:
        """Whether a record is this person's."""
        return self.realms.owner(resource, data) == (self.realm, self.sourced_id)


_GONE = object()


def _without_references(data: Mapping[str, Any], known: Callable[[Any], bool]) -> Mapping[str, Any]:
    """Return data without its references to a known person, or the same object if it has none."""
    pruned = {name: _prune(value, name, known) for name, value in data.items()}
    kept = {name: value for name, value in pruned.items() if value is not _GONE}
    same = len(kept) == len(data) and all(kept[name] is data[name] for name in kept)
    return data if same else kept


def _prune(value: Any, name: str, known: Callable[[Any], bool]) -> Any:
    """Return a value without references to a known person; `_GONE` if it is one itself."""
    if isinstance(value, Mapping):
        kind = str(value.get("type", "")).lower()
        if kind in _PERSON_TYPES and "sourcedId" in value and known(value["sourcedId"]):
            return _GONE
        return _without_references(value, known)
    if isinstance(value, list):
        items = [_prune(each, name, known) for each in value]
        kept = [each for each in items if each is not _GONE]
        same = len(kept) == len(value) and all(a is b for a, b in zip(kept, value, strict=True))
        return value if same else kept
    if name == "agents" and isinstance(value, str):
        # 1.1 servers also send plain ids, or several with commas between.
        ids = [each.strip() for each in value.split(",")]
        others = [each for each in ids if not known(each)]
        if len(others) == len(ids):
            return value
        return ",".join(others) if others else _GONE
    return value


def identifiers_of(people: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return what identifies a person alone: ids, numbers, user name, addresses, telephones."""
    fields = (
        "sourcedId", "identifier", "username", "email", "phone", "sms", "userMasterIdentifier",
    )  # fmt: skip
    values = [data.get(name) for data in people for name in fields]
    for data in people:
        user_ids = data.get("userIds") or ()
        values += [each.get("identifier") for each in user_ids if isinstance(each, Mapping)]
    return {str(value).strip() for value in values if isinstance(value, str | int)} - {""}


def names_of(people: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return pairs of given and family name."""
    pairs = {(str(p.get("givenName") or ""), str(p.get("familyName") or "")) for p in people}
    return {pair for pair in pairs if all(pair)}


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of JSON, each with the name of the field that it, or its list, is in."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from leaves(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, name)
    else:
        yield name, value


_IDENTIFYING = r"(?:id|ids|identifier|number|username|email|agents)"
_IDENTIFYING_FIELD = re.compile(rf"{_IDENTIFYING}$", re.IGNORECASE)


def identifies(field: str, value: Any) -> bool:
    """Whether a field is one that identifies somebody, and its value may be an identifier."""
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    return is_text and _IDENTIFYING_FIELD.search(field) is not None and 0 < len(str(value)) <= 255


SHORTEST = 4
"""A shorter identifier is in too many places that have nothing to do with the person."""


@dataclass(frozen=True)
class PersonMatcher:
    """Recognises a person by an identifier alone, or by given and family name together.

    An identifier counts as a whole word only, in any case. One shorter than `SHORTEST` counts only
    where it is the whole value of a field that identifies somebody, or a segment of a path.
    """

    identifiers: frozenset[str]
    names: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, identifiers: Iterable[str], names: Iterable[tuple[str, str]] = ()) -> PersonMatcher:
        """Return the matcher of a person."""
        return cls(frozenset(each for each in identifiers if each), frozenset(names))

    @cached_property
    def distinctive(self) -> frozenset[str]:
        """The identifiers that are long enough to be searched for in any text."""
        return frozenset(each for each in self.identifiers if len(each) >= SHORTEST)

    @cached_property
    def _short(self) -> frozenset[str]:
        return frozenset(each.casefold() for each in self.identifiers - self.distinctive)

    @cached_property
    def _distinctive_word(self) -> re.Pattern[str] | None:
        return _word_of(self.distinctive)

    @cached_property
    def _short_value(self) -> re.Pattern[str] | None:
        # As in filter=sourcedId='7', {"id": 7} or <id>7</id>.
        return _word_of(self._short, after=rf"{_IDENTIFYING}[\"']?\s*(?:[=:]+|>)\s*[\"']?")

    def has_identifier(self, text: str) -> bool:
        """Whether a text holds an identifier: a distinctive one anywhere, a short one as a value.

        >>> matcher = PersonMatcher.of(["s-77", "7"])
        >>> [matcher.has_identifier(text) for text in ("/users/S-77?x", "s-778", "7 rows", "id=7")]
        [True, False, False, True]
        """
        patterns = (self._distinctive_word, self._short_value)
        return any(pattern is not None and pattern.search(text) for pattern in patterns)

    def has_names(self, text: str) -> bool:
        """Whether given and family name are both in a text."""
        folded = text.casefold()
        return any(
            given.casefold() in folded and family.casefold() in folded
            for given, family in self.names
        )

    def matches(self, text: str) -> bool:
        """Whether a text names the person in either way."""
        return self.has_identifier(text) or self.has_names(text)

    def matches_json(self, value: Any) -> bool:
        """Whether JSON names the person in either way.

        >>> matcher = PersonMatcher.of(["7"])
        >>> matcher.matches_json({"count": 7}), matcher.matches_json({"student": {"id": 7}})
        (False, True)
        """
        pairs = [(name, each) for name, each in leaves(value) if each is not None]
        return self.matches("\n".join(str(each) for _, each in pairs)) or any(
            identifies(name, each) and str(each).strip().casefold() in self._short
            for name, each in pairs
        )

    def matches_request(self, target: Mapping[str, Any]) -> bool:
        """Whether a request (method, path, query, json) names the person in either way.

        >>> matcher, path = PersonMatcher.of(["7"]), "/ws/v1/student"
        >>> [
        ...     matcher.matches_request(each)
        ...     for each in (
        ...         {"path": path, "query": {"pagesize": "7"}},
        ...         {"path": f"{path}/7"},
        ...         {"path": path, "query": {"filter": "student_number==7"}},
        ...         {"path": path, "body": {"text": '{"student": {"id": 7}}'}},
        ...     )
        ... ]
        [False, True, True, True]
        """
        path = unquote(str(target.get("path", "")))
        body = body_of(target) or b""
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            parsed = unquote_plus(body.decode(errors="replace"))
        return self.matches_json({**target, "path": path, "json body": parsed}) or (
            not self._short.isdisjoint(path.casefold().split("/"))
        )

    def is_in_prose(self, text: str) -> bool:
        """Whether a text written by a person names this one, even by a short identifier."""
        word = _word_of(self.identifiers)
        return self.has_names(text) or (word is not None and word.search(text) is not None)


def _word_of(words: Iterable[str], after: str = "") -> re.Pattern[str] | None:
    escaped = sorted((re.escape(word) for word in words), key=len, reverse=True)
    if not escaped:
        return None
    begin = after or r"(?<![^\W_])"
    return re.compile(rf"{begin}(?:{'|'.join(escaped)})(?![^\W_])", re.IGNORECASE)
