"""OneRoster's `filter` parameter: reading it, and judging rows by it."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sisgate.sandbox.selection import values_at

Comparison = Literal["=", "!=", ">", ">=", "<", "<=", "~"]

_TERM = re.compile(
    r"\s*(?P<field>[A-Za-z]\w*(?:\.\w+)*)\s*(?P<op>!=|>=|<=|=|>|<|~)\s*'(?P<value>(?:[^']|'')*)'\s*"
)
_JOINT = re.compile(r"(AND|OR)\b")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2}))?(?:[.,](\d{1,9}))?(?:Z|[+-]00:?00)?"
)

_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "~": operator.contains,
}


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison of a field, which may be a dotted path, with a value."""

    field: str
    op: Comparison
    value: str


@dataclass(frozen=True, slots=True)
class FilterExpression:
    """One or two terms; `joint` says how two belong together."""

    terms: tuple[Term, ...]
    joint: Literal["AND", "OR"] = "AND"

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row passes. A field that is absent equals nothing."""
        verdicts = (_holds(term, row) for term in self.terms)
        return all(verdicts) if self.joint == "AND" else any(verdicts)

    def modified_since(self) -> str | None:
        """Return the instant before which no row can match; None when there is none."""
        if self.joint == "OR" and len(self.terms) > 1:
            return None
        bounds = [
            term.value
            for term in self.terms
            if term.field == "dateLastModified" and term.op in (">", ">=")
        ]
        return max(bounds, default=None)


def parse_filter(text: str) -> FilterExpression:
    """Read a filter; `ValueError` says where it stops being one.

    >>> parse_filter("status='active' AND role='student'").terms[1]
    Term(field='role', op='=', value='student')
    """
    first, end = _term(text, 0)
    if end == len(text):
        return FilterExpression((first,))
    joint = _JOINT.match(text, end)
    if joint is None:
        raise ValueError(f"AND or OR expected at character {end} of the filter")
    second, end = _term(text, joint.end())
    if end != len(text):
        raise ValueError(f"a filter has one AND or OR; more follows at character {end}")
    return FilterExpression((first, second), "OR" if joint[1] == "OR" else "AND")


def _term(text: str, start: int) -> tuple[Term, int]:
    match = _TERM.match(text, start)
    if match is None:
        raise ValueError(f"field, operator and 'value' expected at character {start} of the filter")
    field, op, value = match["field"], match["op"], match["value"].replace("''", "'")
    if field == "dateLastModified":
        value = normal_instant(value)
    return Term(field, op, value), match.end()  # type: ignore[arg-type]  # the pattern's choices


def normal_instant(text: str) -> str:
    """Return an instant in the form rows carry, so that texts compare as times.

    >>> normal_instant("2026-09-01"), normal_instant("2026-09-01T08:00:00Z")
    ('2026-09-01T00:00:00.000Z', '2026-09-01T08:00:00.000Z')
    """
    if _DATE.fullmatch(text):
        return f"{text}T00:00:00.000Z"
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("dateLastModified is compared with an ISO 8601 date or UTC instant")
    day, minutes, seconds, fraction = match.groups()
    return f"{day}T{minutes}:{seconds or '00'}.{(fraction or '0')[:3].ljust(3, '0')}Z"


def _holds(term: Term, row: Mapping[str, Any]) -> bool:
    field = term.field
    if field == "role" and "role" not in row:
        # 1.2 moved the role into a list; servers kept understanding the old filter.
        field = "roles.role"
    compare, wanted = _COMPARE[term.op], term.value.casefold()
    values = [value.casefold() for value in values_at(row, field)]
    if term.op == "!=":
        return all(value != wanted for value in values)
    return any(compare(value, wanted) for value in values)
