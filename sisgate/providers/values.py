"""Values of canonical records: dates and times, and references between records.

Source of the references: the `…GUIDRef` types of 1EdTech OneRoster Rostering 1.2 (`href`,
`sourcedId`, `type`). A provider's `href` names the server it was read from: the same record read
from another endpoint, or from a server that moved, would look changed. Ours is relative to the
roster, so it is the same everywhere.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

_DATE = re.compile(r"(\d{4})([-/]?)(\d{2})\2(\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:00)?)?")

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def utc_text(text: str) -> str:
    """Return an ISO 8601 time in UTC with `Z`, unchanged if it is that already.

    A time without a zone is taken as UTC, which the specification prescribes. `ValueError` for
    what is no such time.

    >>> utc_text("2026-09-01T08:00:00-05:00")
    '2026-09-01T13:00:00.000Z'
    """
    moment = datetime.fromisoformat(text)
    if _UTC.fullmatch(text):
        return text
    try:
        return utc_timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except OverflowError as error:
        raise ValueError from error


def utc_timestamp(moment: datetime) -> str:
    """Return an aware time as OneRoster writes it: UTC, cut (not rounded) to milliseconds."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def iso_date(text: str) -> str:
    """Return `YYYY-MM-DD` where `text` is unambiguously that day; otherwise unchanged.

    A midnight in UTC is a day. Any other time of day is not, since it may be a midnight elsewhere,
    and neither is `9/1/2026`, of which nobody can say which is the month.

    >>> iso_date("2026-09-01T00:00:00.000Z"), iso_date("20260901"), iso_date("9/1/2026")
    ('2026-09-01', '2026-09-01', '9/1/2026')
    """
    if (match := _DATE.fullmatch(text.strip())) is None:
        return text
    try:
        return date(int(match[1]), int(match[3]), int(match[4])).isoformat()
    except ValueError:
        return text


SOURCED_ID_LIMIT = 255
"""The longest sourcedId the specification allows."""

_COLLECTIONS = {
    "org": "orgs",
    "academicSession": "academicSessions",
    "course": "courses",
    "class": "classes",
    "user": "users",
    "resource": "resources",
}


def reference(kind: str, sourced_id: str) -> dict[str, str]:
    """Return the reference to a record; `kind` is OneRoster's type of it.

    >>> reference("org", "s 1")
    {'href': 'orgs/s%201', 'sourcedId': 's 1', 'type': 'org'}
    """
    return {"href": _href(kind, sourced_id), "sourcedId": sourced_id, "type": kind}


@lru_cache(maxsize=2048)  # a school is referred to by each of its students
def _href(kind: str, sourced_id: str) -> str:
    return f"{_COLLECTIONS[kind]}/{quote(sourced_id, safe='')}"


def usable_id(value: Any) -> str | None:
    """Return a sourcedId given as text or as a number; None where it is neither, empty or too long.

    >>> usable_id(12), usable_id(" "), usable_id(True)
    ('12', None, None)
    """
    if type(value) is str:
        return value if len(value) <= SOURCED_ID_LIMIT and value.strip() else None
    if type(value) is int and abs(value) < 2**63:
        return str(value)
    return None


def read_references(kind: str, value: Any) -> tuple[list[dict[str, str]], bool]:
    """Return the references in `value`, each once, and whether all of it could be read.

    Servers give objects, bare ids, ids in one text with commas between, and lists of any of them.
    Nulls, empty texts and objects without an id refer to nothing.
    """
    refs: dict[str, dict[str, str]] = {}
    whole = True
    for each in _items(value):
        held = each.get("sourcedId") if isinstance(each, dict) else each
        if (sourced_id := usable_id(held)) is not None:
            refs.setdefault(sourced_id, reference(kind, sourced_id))
        elif not _is_nothing(held) or (isinstance(each, dict) and each and "sourcedId" not in each):
            whole = False
    return list(refs.values()), whole


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [each.strip() for each in value.split(",")]
    return [value]
