"""Records: one entity of a school's roster in canonical OneRoster 1.2 shape. Pure.

A provider returns a person of two schools once for each; `merged` joins the rows.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from types import ModuleType
from typing import Any

ROSTER: tuple[str, ...] = (
    "orgs",
    "terms",
    "courses",
    "classes",
    "teachers",
    "students",
    "enrollments",
    "demographics",
)
"""What every kind offers, parents before children."""


# Created once: `json.dumps` with options creates an encoder per call. Parsed JSON has no cycles.
_slow = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), sort_keys=True
).encode

_MAY_BE_REAL = [re.compile(begin + rb"-?\d+[.e]").search for begin in (b'":', rb"\[", b",")]
"""Three searches for a text are much faster than one for a choice."""


@cache
def _orjson() -> ModuleType:
    """The fast encoder, imported only where records are made."""
    import orjson

    return orjson


def _canonical(value: Any) -> bytes:
    """Return JSON text with sorted keys, the same in every version.

    The standard library's form, with which existing ledgers were hashed, but faster. Only reals
    are written differently by the two, and whole numbers above 64 bits by one of them alone.
    """
    try:
        text: bytes = _orjson().dumps(value, option=_orjson().OPT_SORT_KEYS)
    except TypeError:
        return _slow(value).encode()
    return _slow(value).encode() if _has_reals(text) else text


def _has_reals(text: bytes) -> bool:
    return any(search(text) for search in _MAY_BE_REAL)


def _plain(value: Any) -> bytes:
    try:
        text: bytes = _orjson().dumps(value)
    except TypeError:
        return _slow(value).encode()
    return text


@dataclass(frozen=True)
class Row:
    """One record as a provider sent it.

    `data` is canonical OneRoster 1.2, JSON-ready; `original` is what the provider sent. If
    `data["status"]` is `tobedeleted`, the provider reports that the record is gone. `untold` are
    fields that this way of reading never returns: stored values are kept.
    """

    sourced_id: str
    data: Mapping[str, Any]
    original: Mapping[str, Any]
    untold: tuple[str, ...] = ()

    def completed(self, stored: Mapping[str, Any]) -> Row:
        """Return the row with the stored values of its `untold` fields."""
        kept = {name: stored[name] for name in self.untold if name in stored}
        return Row(self.sourced_id, {**self.data, **kept}, self.original) if kept else self

    @property
    def data_json(self) -> str:
        """The canonical data as JSON text with sorted keys, so that equal data is equal text."""
        return self._data_text.decode()

    @cached_property
    def _data_text(self) -> bytes:
        return _canonical(self.data)

    @cached_property
    def original_json(self) -> str:
        """What the provider sent as JSON text; the order of its names has no meaning."""
        if self.original is self.data:
            return self.data_json
        return _plain(self.original).decode()

    @cached_property
    def content_hash(self) -> bytes:
        """SHA-256 of the canonical data: rows with equal hashes are equal."""
        return hashlib.sha256(self._data_text).digest()

    @property
    def is_deleted(self) -> bool:
        """Whether the provider itself marks the record as deleted."""
        return self.data.get("status") == "tobedeleted"

    @property
    def last_modified(self) -> datetime | None:
        """The provider's time of the last change, aware, or None without one."""
        text = self.data.get("dateLastModified")
        if not isinstance(text, str):
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return moment if moment.tzinfo else None


def encode(rows: Sequence[Row]) -> None:
    """Compute the texts and digests of many rows, in a quarter less time than one by one.

    Never needed: a row computes them itself when it is first asked.
    """
    texts = _texts([row.data for row in rows], canonical=True)
    originals = _texts([row.original for row in rows], canonical=False)
    for row, text, original in zip(rows, texts, originals, strict=True):
        # Where `cached_property` keeps its values; a frozen row takes no others.
        vars(row).update(
            _data_text=text,
            original_json=original.decode(),
            content_hash=hashlib.sha256(text).digest(),
        )


def _texts(values: Sequence[Any], *, canonical: bool) -> Sequence[bytes]:
    """Return the JSON text of each value, written in one go with a random text between them."""
    one = _canonical if canonical else _plain
    orjson, boundary = _orjson(), secrets.token_hex(16)
    together = [each for value in values for each in (value, boundary)][:-1]
    try:
        text: bytes = orjson.dumps(together, option=orjson.OPT_SORT_KEYS if canonical else None)
    except TypeError:
        return [one(value) for value in values]
    if canonical and _has_reals(text):
        return [one(value) for value in values]
    return text[1:-1].split(f',"{boundary}",'.encode()) if values else []


def orgs_of(data: Mapping[str, Any]) -> list[str] | None:
    """Return the ids of the orgs of a person's roles; None if the record has no roles."""
    roles = data.get("roles")
    if not isinstance(roles, list) or not roles:
        return None
    return sorted({org for role in roles if (org := _org(role)) is not None})


def merged(stored: Mapping[str, Any], row: Row) -> Row | None:
    """Return `row` with the stored roles in other orgs; None if there is nothing to merge.

    Only people have roles. The roles of `row` replace the stored ones in the same orgs.
    """
    before, now = orgs_of(stored), orgs_of(row.data)
    if before is None or now is None or set(before) == set(now):
        return None
    kept = [role for role in stored["roles"] if _org(role) not in now]
    roles = sorted([*kept, *row.data["roles"]], key=lambda role: _org(role) or "")
    data = {**row.data, "roles": roles, "agents": _together(stored, row.data)}
    if not data["agents"]:
        del data["agents"]
    if "primaryOrg" in stored:
        data["primaryOrg"] = stored["primaryOrg"]
    return Row(row.sourced_id, data, row.original)


def without_orgs(stored: Mapping[str, Any], orgs: Collection[str]) -> dict[str, Any]:
    """Return a person's data without the roles in some orgs."""
    roles = [role for role in stored["roles"] if _org(role) not in orgs]
    data = {**stored, "roles": roles}
    primary = stored.get("primaryOrg")
    if isinstance(primary, dict) and primary.get("sourcedId") in orgs:
        left = next((role["org"] for role in roles if _org(role)), None)
        data = {k: v for k, v in data.items() if k != "primaryOrg"}
        if left is not None:
            data["primaryOrg"] = left
    return data


def _org(role: Any) -> str | None:
    org = role.get("org") if isinstance(role, dict) else None
    return org.get("sourcedId") if isinstance(org, dict) else None


def _together(*people: Mapping[str, Any]) -> Sequence[Any]:
    agents: dict[str, Any] = {}
    for data in people:
        for agent in data.get("agents") or []:
            agents.setdefault(str(agent.get("sourcedId")), agent)
    return [agents[each] for each in sorted(agents)]
