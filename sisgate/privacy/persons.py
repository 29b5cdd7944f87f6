"""Who a person is: their ids, their records, what mentions them, and how text is matched. Pure.

OneRoster gives all users one set of ids. PowerSchool numbers students and staff separately, so a
student and a teacher may share an id: there a person is an id in one of the two sets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from sisgate.domain.records import Row
from sisgate.settings import ProviderConfig

PersonResource = Literal["students", "teachers"]
PEOPLE = get_args(PersonResource)
"""The resources whose records are persons."""

_PERSON_TYPES = frozenset({"user", "student", "teacher", "guardian", "parent", "relative", ""})
_OWN_NUMBERS = frozenset({"powerschool"})

IsPerson = Callable[[str, str], bool]
"""Asked with a realm and an id: is it the person that is looked for?"""


@dataclass(frozen=True)
class Realms:
    """The sets of ids of one provider: `users`, or `students` and `teachers` apart."""

    apart: bool

    @classmethod
    def of(cls, config: ProviderConfig) -> Realms:
        """Return those of a provider's kind."""
        return cls(config.kind in _OWN_NUMBERS)

    def of_resource(self, resource: str) -> str:
        """Return the realm of the ids of students or teachers."""
        return resource if self.apart else "users"

    def owner(self, resource: str, data: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return realm and id of the person whose record it is, None for one that is nobody's.

        >>> Realms(apart=True).owner("demographics", {"sourcedId": "7"})
        ('students', '7')
        """
        own = data.get("sourcedId")
        if resource in PEOPLE:
            return self.of_resource(resource), str(own)
        if resource == "demographics":
            return self.of_resource("students"), str(own)
        if resource == "enrollments":
            user = data.get("user")
            found = user.get("sourcedId") if isinstance(user, Mapping) else user
            role = "teachers" if data.get("role") == "teacher" else "students"
            return (self.of_resource(role), str(found)) if found is not None else None
        return None

    def without(self, resource: str, row: Row, is_person: IsPerson) -> Row:
        """Return a row without the references to a person; the same row where there are none."""
        data = self._pruned(row.data, is_person)
        metadata = data.get("metadata")
        if resource == "classes" and isinstance(metadata, Mapping):
            teacher = metadata.get("primaryTeacher")
            if teacher is not None and is_person(self.of_resource("teachers"), str(teacher)):
                left = {k: v for k, v in metadata.items() if k != "primaryTeacher"}
                data = {**data, "metadata": left}
                # The provider's own form names the teacher in fields that only its dialect knows.
                return Row(row.sourced_id, data, {})
        if data is row.data:
            return row
        return Row(row.sourced_id, data, self._pruned(row.original, is_person))

    def _pruned(self, data: Mapping[str, Any], is_person: IsPerson) -> Mapping[str, Any]:
        realm = self.of_resource("students")

        def known(found: Any) -> bool:
            return is_person(realm, str(found))

        pruned = {name: _prune(value, name, known) for name, value in data.items()}
        kept = {name: value for name, value in pruned.items() if value is not _GONE}
        same = len(kept) == len(data) and all(kept[name] is data[name] for name in kept)
        return data if same else kept


_GONE = object()


def _prune(value: Any, name: str, known: Callable[[Any], bool]) -> Any:
    """Return a value without references to a known person; `_GONE` if it is one itself."""
    if isinstance(value, Mapping):
        kind = str(value.get("type", "")).lower()
        if kind in _PERSON_TYPES and "sourcedId" in value and known(value["sourcedId"]):
            return _GONE
        pruned = {key: _prune(each, key, known) for key, each in value.items()}
        kept = {key: each for key, each in pruned.items() if each is not _GONE}
        same = len(kept) == len(value) and all(kept[key] is value[key] for key in kept)
        return value if same else kept
    if isinstance(value, list):
        items = [_prune(each, name, known) for each in value]
        left = [each for each in items if each is not _GONE]
        same = len(left) == len(value) and all(a is b for a, b in zip(left, value, strict=True))
        return value if same else left
    if name == "agents" and isinstance(value, str):
        # 1.1 servers also give plain ids, or several with commas between.
        ids = [each.strip() for each in value.split(",")]
        left_ids = [each for each in ids if not known(each)]
        if len(left_ids) == len(ids):
            return value
        return ",".join(left_ids) if left_ids else _GONE
    return value


def identifiers_of(people: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return what names a person alone: ids, numbers, user name, addresses, telephones."""
    found: set[str] = set()
    for data in people:
        single = ("sourcedId", "identifier", "username", "email", "phone", "sms")
        values = [data.get(name) for name in (*single, "userMasterIdentifier")]
        more = [each for each in data.get("userIds") or () if isinstance(each, Mapping)]
        values += [each.get("identifier") for each in more]
        found |= {str(value).strip() for value in values if isinstance(value, str | int)}
    return found - {""}


def names_of(people: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return pairs of given and family name."""
    pairs = {(str(p.get("givenName") or ""), str(p.get("familyName") or "")) for p in people}
    return {pair for pair in pairs if all(pair)}


SHORTEST = 4
"""An identifier shorter than this stands in too many places that have nothing to do with it."""


@dataclass(frozen=True)
class PersonMatcher:
    """What to look for. An identifier counts as a whole word only, in any case of letters."""

    identifiers: frozenset[str]
    names: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, identifiers: Iterable[str], names: Iterable[tuple[str, str]] = ()) -> PersonMatcher:
        """Return the matcher of a person."""
        return cls(frozenset(i for i in identifiers if i), frozenset(names))

    @property
    def telling(self) -> frozenset[str]:
        """The identifiers that are long enough to be looked for anywhere."""
        return frozenset(each for each in self.identifiers if len(each) >= SHORTEST)

    @cached_property
    def _all(self) -> re.Pattern[str] | None:
        return _words(self.identifiers)

    @cached_property
    def _telling(self) -> re.Pattern[str] | None:
        return _words(self.telling)

    def identify(self, text: str, *, anywhere: bool = True) -> bool:
        """Whether an identifier stands in a text; short ones count where not `anywhere`.

        >>> matcher = PersonMatcher.of(["s-77", "7"])
        >>> matcher.identify("/users/S-77?x"), matcher.identify("s-778"), matcher.identify("7")
        (True, False, False)
        >>> matcher.identify("7", anywhere=False)
        True
        """
        pattern = self._telling if anywhere else self._all
        return pattern is not None and pattern.search(text) is not None

    def name(self, text: str) -> bool:
        """Whether given and family name both stand in a text."""
        low = text.casefold()
        return any(
            given.casefold() in low and family.casefold() in low for given, family in self.names
        )

    def mention(self, text: str, *, anywhere: bool = True) -> bool:
        """Whether a text names the person in either way."""
        return self.identify(text, anywhere=anywhere) or self.name(text)


def _words(words: Iterable[str]) -> re.Pattern[str] | None:
    escaped = sorted((re.escape(word) for word in words), key=len, reverse=True)
    if not escaped:
        return None
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(escaped)})(?![^\W_])", re.IGNORECASE)
