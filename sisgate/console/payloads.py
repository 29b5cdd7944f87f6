"""Student data on pages: records that are opened for a visitor with payload sight."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sisgate.console.rooms import Visit

FIRST = (
    "givenName", "familyName", "title", "name", "identifier", "username", "grades", "type",
    "classCode", "courseCode", "role", "user", "class", "beginDate", "endDate", "birthDate",
)  # fmt: skip
"""The fields that tell a record from others at a glance."""


def opened_records(
    visit: Visit, provider: str, resource: str, ids: Sequence[str], purpose: str
) -> Mapping[str, Mapping[str, str]]:
    """Return the fields of records by id, as a disclosure to the visitor."""
    if not ids:
        return {}
    found = visit.gateway.datasets.open(provider, resource, ids, purpose=purpose)
    return {each.sourced_id: _shown(each.data) for each in found}


def _shown(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a record as texts, the most telling ones first."""
    names = [*(name for name in FIRST if name in data), *(n for n in data if n not in FIRST)]
    return {name: _text(data[name]) for name in names}


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
