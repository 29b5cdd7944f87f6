"""Reading PowerSchool's JSON: lists of one, empty expansions, ids as numbers or as text.

Source: PowerSchool's "V1 API" reference and its developer pages on pagination and PowerQueries, in
public copies, looked up 2026-11-23. `/ws/v1` gives numbers as numbers; a PowerQuery gives every
value as text and leaves nulls out. The readers here make no difference between the two, which is
why both ways give the same records.
"""

from collections.abc import Mapping
from typing import Any

from sisgate.errors import AnswerInvalid
from sisgate.providers.paging import RowUnusable

_TRUE = ("true", "1", "t", "y", "yes")


def rest_rows(body: Any, singular: str) -> list[Any] | None:
    """Return the rows of `{"students": {"@expansions": "…", "student": […]}}`.

    One row may be the object itself; a list without rows may be `""` or leave `student` out. The
    list of staff is called both `staffs` and `staff`. None where there is no such list.
    """
    if isinstance(body, dict):
        for plural in (f"{singular}s", singular):
            if plural in body:
                held = body[plural]
                rows = held.get(singular) if isinstance(held, dict) else held
                return _listed(rows)
    return None


def query_rows(body: Any) -> list[Any] | None:
    """Return the rows of a PowerQuery; None where the body is not that of one.

    A query that finds nothing leaves `record` out and still has its `name`.
    """
    if not isinstance(body, dict) or not {"record", "name"}.intersection(body):
        return None
    return _listed(body.get("record"))


def read_number(value: Any) -> int:
    """Return a count given as a number or as digits; `AnswerInvalid` for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise AnswerInvalid("The provider gave a number that is none.")


def dcid(row: Mapping[str, Any], name: str = "id") -> str:
    """Return an id as text; `RowUnusable` where the row has none."""
    if not isinstance(row, dict):
        raise RowUnusable(None, "is not an object")
    if (row_id := optional_dcid(row, name)) is None:
        raise RowUnusable(name, "is missing or unusable")
    return row_id


def optional_dcid(row: Mapping[str, Any], name: str) -> str | None:
    """Return an id as text, or None where it is left out, empty or 0, which refers to nothing."""
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        number = read_number(value)
    except AnswerInvalid:
        raise RowUnusable(name, "is no number") from None
    return str(number) if number else None


def text(row: Mapping[str, Any], name: str) -> str | None:
    """Return a text or a number as text, without outer blanks; None where there is none."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def integer(row: Mapping[str, Any], name: str) -> int | None:
    """Return a small whole number, negative ones too, or None where there is none."""
    value = text(row, name)
    if value is None or not value.lstrip("-").isdigit() or not value.isascii() or len(value) > 9:
        return None
    try:
        return int(value)
    except ValueError:
        return None


def truth(row: Mapping[str, Any], name: str) -> bool:
    """Return whether a flag is set, be it a boolean, a number or a text."""
    value = row.get(name)
    return value.strip().lower() in _TRUE if isinstance(value, str) else value is True or value == 1


def flag(value: bool) -> str:
    """Return a boolean as the REST binding of OneRoster 1.2 has it: a text."""
    return "true" if value else "false"


def part(row: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return the object at a path of names; an empty one where an expansion is `""` or missing."""
    for name in names:
        held = row.get(name)
        if isinstance(held, list) and held:
            held = held[0]
        if not isinstance(held, dict):
            return {}
        row = held
    return row


def parts(row: Mapping[str, Any], plural: str, singular: str) -> list[Mapping[str, Any]]:
    """Return the objects of a nested list in any of the forms that lists come in."""
    held = row.get(plural)
    if isinstance(held, dict):
        held = held.get(singular, held)
    rows = held if isinstance(held, list) else [held]
    inner = [each.get(singular, each) if isinstance(each, dict) else each for each in rows]
    return [each for each in inner if isinstance(each, dict)]


def _listed(held: Any) -> list[Any] | None:
    if held is None or held == "":
        return []
    if isinstance(held, dict):
        return [held]
    return held if isinstance(held, list) else None
