"""Which OneRoster resource holds which tables, and reading it: pages, filters and orders."""

from __future__ import annotations

import asyncio
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sisgate.sandbox.oneroster.filters import FilterExpression
from sisgate.sandbox.oneroster.rows import OneRosterRows, Row
from sisgate.sandbox.population.keys import Table
from sisgate.sandbox.population.roster import LAST_BASE_STAMP, Roster
from sisgate.sandbox.population.values import values_at

_KEY_BITS = 40
_KEY_MASK = (1 << _KEY_BITS) - 1
_SCAN_PAUSE_ROWS = 2000
_SELECTIONS_KEPT = 8


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


class Selections:
    """Filtered or sorted lists, kept for the next page until the data changes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], array[int]] = OrderedDict()

    async def select(
        self, resource: Resource, wanted: FilterExpression | None, order: SortOrder | None
    ) -> array[int]:
        """Return the codes of the rows that pass, in order."""
        key = (resource.name, resource.revision, wanted, order)
        codes = self._kept.get(key)
        if codes is None:
            codes = await _scan(resource, wanted, order)
            self._kept[key] = codes
            if len(self._kept) > _SELECTIONS_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return codes


async def _scan(
    resource: Resource, wanted: FilterExpression | None, order: SortOrder | None
) -> array[int]:
    codes: array[int] = array("q")
    sort_keys: list[str] = []
    since = wanted.modified_since() if wanted else None
    for count, code in enumerate(resource.codes(since), 1):
        row = resource.row(code)
        if wanted is None or wanted.matches(row):
            codes.append(code)
            if order is not None:
                sort_keys.append(next(values_at(row, order.field), ""))
        if count % _SCAN_PAUSE_ROWS == 0:
            # Other districts and calls go on while a big district is searched.
            await asyncio.sleep(0)
    if order is None:
        return codes
    places = sorted(range(len(codes)), key=sort_keys.__getitem__, reverse=order.descending)
    return array("q", (codes[place] for place in places))
