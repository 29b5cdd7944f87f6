"""Which lists and single rows a PowerSchool server has: the tables behind each path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

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
