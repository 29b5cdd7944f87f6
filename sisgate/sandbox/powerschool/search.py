"""PowerSchool's `q` parameter: FIQL comparisons joined by `;`, all of which a row must meet.

`==` compares without regard to case; `*` at the end of a value stands for any ending, and
`(A,P)` for either value. `=gt=`, `=ge=`, `=lt=` and `=le=` compare numbers as numbers and
everything else, ISO dates above all, as text.
Source: the notes and clients that districts publish, such as ps_utilities and pypowerschool
(read 2026-11-29).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sisgate.sandbox.population.roster import Roster
from sisgate.sandbox.powerschool.lists import KeyList
from sisgate.sandbox.selection import Selections, values_at
from sisgate.sandbox.vendor import Refusal

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
