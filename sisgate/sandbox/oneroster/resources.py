"""Which OneRoster resource holds which tables, and reading it: pages, filters and orders."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sisgate.sandbox.oneroster.filters import FilterExpression
from sisgate.sandbox.oneroster.rows import OneRosterRows, Row
from sisgate.sandbox.population.keys import Table
from sisgate.sandbox.population.roster import LAST_BASE_STAMP, Roster
from sisgate.sandbox.selection import Selections

_KEY_BITS = 40
_KEY_MASK = (1 << _KEY_BITS) - 1


class Part(NamedTuple):
    """One table of a resource, the word its ids are made with, and the maker of its rows."""

    table: Table
    id_word: str
    row: Callable[[int], Row]


@dataclass(frozen=True)
class Resource:
    """One OneRoster resource: the words its answers are wrapped in, and its parts in order."""

    name: str
    many: str
    one: str
    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return sum(len(part.table) for part in self.parts)

    @property
    def revision(self) -> int:
        """Changes whenever the rows do."""
        return sum(part.table.revision for part in self.parts)

    def page(self, offset: int, limit: int) -> list[Row]:
        """Return the rows from `offset`, at most `limit`, ordered by sourcedId."""
        rows: list[Row] = []
        for part in self.parts:
            size = len(part.table)
            if offset < size and len(rows) < limit:
                stop = offset + limit - len(rows)
                rows.extend(map(part.row, part.table.between(offset, stop)))
            offset = max(0, offset - size)
        return rows

    def codes(self, since: str | None) -> Iterator[int]:
        """Yield `part << 40 | key` of every row that may have changed since an instant."""
        for number, part in enumerate(self.parts):
            keys: Iterable[int] = part.table.between(0, len(part.table))
            if since is not None and since > LAST_BASE_STAMP:
                keys = sorted(key for key in part.table.touched if key in part.table)
            yield from (number << _KEY_BITS | key for key in keys)

    def row(self, code: int) -> Row:
        """Return the row of a code."""
        return self.parts[code >> _KEY_BITS].row(code & _KEY_MASK)

    def specimen(self) -> Row:
        """Return a row to learn the field names from; empty when there is none."""
        return next((p.row(p.table.at(0)) for p in self.parts if len(p.table)), {})


def resources_of(roster: Roster, rows: OneRosterRows) -> dict[str, Resource]:
    """Return the twelve resources of a district by name."""
    district = Part(roster.districts, "district", rows.district)
    schools = Part(roster.schools, "schools", rows.school)
    years = Part(roster.years, "years", rows.year)
    terms = Part(roster.terms, "terms", rows.term)
    periods = Part(roster.grading_periods, "grading_periods", rows.grading_period)
    students = Part(roster.students, "students", rows.student)
    teachers = Part(roster.teachers, "teachers", rows.teacher)
    session = ("academicSessions", "academicSession")
    listed = (
        Resource("orgs", "orgs", "org", (district, schools)),
        Resource("schools", "orgs", "org", (schools,)),
        Resource("academicSessions", *session, (years, terms, periods)),
        Resource("terms", *session, (terms,)),
        Resource("gradingPeriods", *session, (periods,)),
        Resource("courses", "courses", "course",
                 (Part(roster.course_table, "courses", rows.course),)),
        Resource("classes", "classes", "class", (Part(roster.classes, "classes", rows.section),)),
        Resource("users", "users", "user", (students, teachers)),
        Resource("students", "users", "user", (students,)),
        Resource("teachers", "users", "user", (teachers,)),
        Resource("enrollments", "enrollments", "enrollment", (
            Part(roster.enrollments, "enrollments", rows.enrollment),
            Part(roster.classes, "teaching", rows.teaching),
        )),
        Resource("demographics", "demographics", "demographics",
                 (Part(roster.students, "students", rows.demographics),)),
    )  # fmt: skip
    return {resource.name: resource for resource in listed}


class SortOrder(NamedTuple):
    """By which field a list is sorted, and whether downwards."""

    field: str
    descending: bool


async def select(
    selections: Selections,
    resource: Resource,
    wanted: FilterExpression | None,
    order: SortOrder | None,
) -> array[int]:
    """Return the codes of a resource's rows that pass a filter, in order."""
    return await selections.select(
        (resource.name, resource.revision, wanted, order),
        resource.codes(wanted.modified_since() if wanted else None),
        resource.row,
        wanted.matches if wanted is not None else lambda _: True,
        sort_by=order.field if order is not None else None,
        descending=order is not None and order.descending,
    )
