"""References between records as in the OneRoster 1.2 REST binding: `href`, `sourcedId`, `type`.

Source: the `…GUIDRef` types of 1EdTech OneRoster Rostering 1.2. An `href` of a provider names the
server it was read from: the same record read from another endpoint, or from a server that moved,
would look changed. Ours is relative to the roster, so it is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

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
    href = f"{_COLLECTIONS[kind]}/{quote(sourced_id, safe='')}"
    return {"href": href, "sourcedId": sourced_id, "type": kind}


def usable_id(value: Any) -> str | None:
    """Return a sourcedId given as text or as a number; None where it is neither, empty or too long.

    >>> usable_id(12), usable_id(" "), usable_id(True)
    ('12', None, None)
    """
    if type(value) is int and abs(value) < 2**63:
        return str(value)
    if isinstance(value, str) and value.strip() and len(value) <= SOURCED_ID_LIMIT:
        return value
    return None


def read_references(kind: str, value: Any) -> tuple[list[dict[str, str]], bool]:
    """Return the references in `value`, each once, and whether all of it could be read.

    Servers give objects, bare ids, ids in one text with commas between, and lists of any of them.
    Nulls, empty texts and objects without an id refer to nothing.
    """
    found: dict[str, dict[str, str]] = {}
    whole = True
    for each in _items(value):
        held = each.get("sourcedId") if isinstance(each, dict) else each
        if (sourced_id := usable_id(held)) is not None:
            found.setdefault(sourced_id, reference(kind, sourced_id))
        elif not _is_nothing(held) or (isinstance(each, dict) and each and "sourcedId" not in each):
            whole = False
    return list(found.values()), whole


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [each.strip() for each in value.split(",")]
    return [value]
