"""Which lists and single rows a PowerSchool server has, and its `q` parameter.

`q` holds FIQL comparisons joined by `;`, all of which a row must meet. `==` compares without regard
to case; `*` at the end of a value stands for any ending, and `(A,P)` for either value. `=gt=`,
`=ge=`, `=lt=` and `=le=` compare numbers as numbers and everything else, ISO dates above all, as
text. Source: the notes and clients that districts publish, such as ps_utilities and pypowerschool
(read 2026-11-29).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sisgate.sandbox.population.keys import Table
from sisgate.sandbox.population.layout import COURSES_PER_LEVEL
from sisgate.sandbox.population.roster import Roster
from sisgate.sandbox.powerschool.rows import (
    SCHOOL_EXPANSIONS,
    SECTION_EXPANSIONS,
    STAFF_EXPANSIONS,
    STUDENT_EXPANSIONS,
    PowerSchoolRows,
    Row,
    term_dcid,
)
from sisgate.sandbox.selection import Selections, values_at
from sisgate.sandbox.vendor import Refusal

RowOf = Callable[[int, frozenset[str]], Row]


class KeyList(NamedTuple):
    """A list of keys: how many, those between two positions, and how to make a row of one."""

    word: str
    expansions: tuple[str, ...]
    size: int
    between: Callable[[int, int], Iterable[int]]
    row: RowOf

    def of(self, keys: Sequence[int]) -> KeyList:
        """Return the same list with only these keys."""
        return self._replace(size=len(keys), between=lambda a, b: keys[a:b])


class Lists:
    """The lists of one district. Ids are texts of a path; an unknown one is a `Refusal` 404."""

    def __init__(self, roster: Roster, rows: PowerSchoolRows) -> None:
        self._roster = roster
        schools, sections = roster.schools, roster.classes
        self._tables: dict[str, tuple[tuple[str, ...], Table, RowOf]] = {
            "school": (SCHOOL_EXPANSIONS, schools, rows.school),
            "student": (STUDENT_EXPANSIONS, roster.students, rows.student),
            "staff": (STAFF_EXPANSIONS, roster.teachers, rows.staff),
            "section": (SECTION_EXPANSIONS, sections, rows.section),
            "course": ((), roster.course_table, rows.course),
            "section_enrollment": ((), roster.enrollments, rows.enrollment),
        }
        self._term = rows.term

    def of_district(self, word: str) -> KeyList:
        """Return all schools or all students."""
        expansions, table, row = self._tables[word]
        return KeyList(word, expansions, len(table), table.between, row)

    def of_school(self, school_id: str, word: str) -> KeyList:
        """Return the list below a school: every table holds a school's rows in one stretch."""
        key = _id(school_id, self._roster.schools)
        school = self._roster.layout.schools[(key >> 3) - 1]
        stretches = {
            "student": (school.first_student, school.students, 8),
            "staff": (school.first_teacher, school.teachers, 8),
            "section": (school.first_cohort, school.cohorts, 16),
            "course": (school.level * COURSES_PER_LEVEL, COURSES_PER_LEVEL, 8),
        }
        if word == "term":
            terms = [term_dcid(school.number, n) for n in range(3)]
            return KeyList(word, (), len(terms), lambda a, b: terms[a:b], self._term)
        if word not in stretches:
            raise Refusal(404, "There is no such resource.", "NOT_FOUND")
        expansions, table, row = self._tables[word]
        first, count, stride = stretches[word]
        start, stop = table.span((first + 1) * stride, (first + count + 1) * stride)
        return KeyList(
            word, expansions, stop - start, lambda a, b: table.between(start + a, start + b), row
        )

    def of_section(self, section_id: str) -> KeyList:
        """Return a section's enrollments."""
        key = _id(section_id, self._roster.classes)
        expansions, table, row = self._tables["section_enrollment"]
        whole = KeyList("section_enrollment", expansions, len(table), table.between, row)
        return whole.of(self._roster.enrollments_of_class(key))

    def single(self, word: str, row_id: str) -> KeyList:
        """Return the list of the one row with this id."""
        if word == "term":
            dcid = _number(row_id)
            if dcid & 7 > 2 or dcid & ~7 not in self._roster.schools:
                raise Refusal(404, "There is no row with this id.", "NOT_FOUND")
            return KeyList(word, (), 1, lambda a, b: [dcid][a:b], self._term)
        if word not in self._tables:
            raise Refusal(404, "There is no such resource.", "NOT_FOUND")
        expansions, table, row = self._tables[word]
        key = _id(row_id, table)
        return KeyList(word, expansions, 1, lambda a, b: [key][a:b], row)


def _number(text: str) -> int:
    """Return an id as it stands in a path; `Refusal` 404 when it is no number."""
    # Length first: Python refuses to read numbers of thousands of digits at all.
    if len(text) <= 18 and text.isascii() and text.isdigit():
        return int(text)
    raise Refusal(404, "There is no row with this id.", "NOT_FOUND")


def _id(text: str, table: Table) -> int:
    key = _number(text)
    if key in table:
        return key
    raise Refusal(404, "There is no row with this id.", "NOT_FOUND")


_COMPARISON = re.compile(
    r"(?P<field>[a-z_]\w*(?:\.\w+)*)(?P<op>==|=gt=|=ge=|=lt=|=le=)(?P<value>\([^()]*\)|[^()]*)"
)
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "=gt=": operator.gt,
    "=ge=": operator.ge,
    "=lt=": operator.lt,
    "=le=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a field, which may be a dotted path, with one of some values."""

    field: str
    op: str
    values: tuple[str, ...]

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Return whether the row meets it. A field that the row lacks meets nothing."""
        return any(_meets(self.op, has, want) for has in values_at(row, self.field)
                   for want in self.values)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Search:
    """The comparisons of one `q`."""

    comparisons: tuple[Comparison, ...]

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row meets every comparison."""
        return all(comparison.holds(row) for comparison in self.comparisons)

    @property
    def heads(self) -> frozenset[str]:
        """The first part of each field: a field of a row, or an expansion that is searched."""
        return frozenset(c.field.partition(".")[0] for c in self.comparisons)


def parse_search(text: str) -> Search:
    """Read a `q`; `ValueError` when it is not one.

    >>> sorted(parse_search("school_enrollment.enroll_status_code==0;name.last_name==S*").heads)
    ['name', 'school_enrollment']
    >>> parse_search("local_id==('7')").comparisons
    (Comparison(field='local_id', op='==', values=('7',)),)
    """
    return Search(tuple(_comparison(part) for part in text.split(";")))


def _comparison(text: str) -> Comparison:
    match = _COMPARISON.fullmatch(text.strip())
    if match is None:
        raise ValueError("q holds comparisons such as name.last_name==S*, joined by ;")
    value = match["value"]
    listed = value[1:-1].split(",") if value.startswith("(") else [value]
    return Comparison(match["field"], match["op"], tuple(v.strip().strip("'\"") for v in listed))


def _meets(op: str, has: str, want: str) -> bool:
    has, want = has.casefold(), want.casefold()
    if op == "==":
        return has.startswith(want[:-1]) if want.endswith("*") else has == want
    compare = _ORDER[op]
    if has.lstrip("-").isdecimal() and want.lstrip("-").isdecimal():
        return compare(int(has), int(want))
    return compare(has, want)


_ALL_WHILE_NOBODY_LEFT = {
    parse_search("school_enrollment.enroll_status==A"),
    parse_search("school_enrollment.enroll_status_code==0"),
}
"""Searches that every student meets until some are marked as gone: these need no scan."""


class Searches:
    """What was found in the lists of one district, kept for the next page until data changes."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._selections = Selections()

    async def within(self, listing: KeyList, text: str | None, place: str) -> KeyList:
        """Return the rows of the list at `place` that meet a `q`; `Refusal` 400 for a bad one."""
        if not text:
            return listing
        search = _search(text, listing)
        if search in _ALL_WHILE_NOBODY_LEFT and not self._roster.students.marked:
            return listing
        revision = sum(table.revision for table in self._roster.tables())
        expansions = search.heads & frozenset(listing.expansions)
        keys = await self._selections.select(
            (place, search, revision),
            listing.between(0, listing.size),
            lambda key: listing.row(key, expansions),
            search.matches,
        )
        return listing.of(keys)


def _search(text: str, listing: KeyList) -> Search:
    try:
        search = parse_search(text)
    except ValueError as error:
        raise Refusal(400, str(error), "INVALID_QUERY") from error
    for key in listing.between(0, 1):
        if not search.heads <= {*listing.expansions, *listing.row(key, frozenset())}:
            raise Refusal(400, "q asks for a field that does not exist", "INVALID_QUERY")
    return search
