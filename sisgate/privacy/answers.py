"""What the audit log keeps of what was given: names of fields, and marks of identifiers.

A mark is four bytes of a keyed digest, so that the log names nobody, and with the key it can be
told whether an identifier stood in the answer. Two identifiers have the same mark once in four
billion; of an answer with a thousand of them, that is one false hit in four million. Pure.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MARK_BYTES = 4
MOST_MARKS = 2000
"""An answer with more identifiers has no marks: its event would be larger than 11 kB."""
MOST_FIELDS = 80

_IDENTIFIES = re.compile(r"(?:id|ids|identifier|number|username|email|agents)$", re.IGNORECASE)
_FIELD = re.compile(r"[A-Za-z_@$][A-Za-z_@$.]{0,40}")
"""Names of fields, as SIS write them. A key with a digit may be somebody's number."""

Mark = Callable[[str], bytes]
"""Makes the keyed digest of an identifier."""


def content_of(body: bytes, mark: Mark) -> dict[str, Any]:
    """Return what an event keeps of an answer: `fields`, and `marks` as base64.

    Without `marks` nobody can tell who stood in it: it is no JSON, or holds too many.
    """
    if not body.strip():
        return {"fields": [], "marks": ""}
    try:
        found = list(_leaves(json.loads(body), ""))
    except (ValueError, RecursionError):
        return {}
    fields = sorted({name for name, _ in found if _FIELD.fullmatch(name)})[:MOST_FIELDS]
    named = {str(value).strip() for name, value in found if _names_somebody(name, value)}
    if len(named) > MOST_MARKS:
        return {"fields": fields}
    return {"fields": fields, "marks": marks_of(named, mark)}


def marks_of(identifiers: set[str], mark: Mark) -> str:
    """Return the marks of identifiers as base64, in an order that says nothing about theirs."""
    return b64encode(b"".join(sorted(mark(each)[:MARK_BYTES] for each in identifiers))).decode()


def is_named(content: Mapping[str, Any], identifiers: set[str], mark: Mark) -> bool | None:
    """Return whether one of the identifiers stood in an answer; None where nobody can tell.

    >>> mark = lambda text: text.encode().ljust(8)
    >>> kept = content_of(b'{"students": [{"id": 17, "local_id": "S-9"}]}', mark)
    >>> is_named(kept, {"S-9"}, mark), is_named(kept, {"18"}, mark), is_named({}, {"17"}, mark)
    (True, False, None)
    """
    if "marks" not in content:
        return None
    marks = b64decode(content["marks"])
    held = {marks[n : n + MARK_BYTES] for n in range(0, len(marks), MARK_BYTES)}
    return any(mark(each)[:MARK_BYTES] in held for each in identifiers)


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, name)
    else:
        yield name, value


def _names_somebody(name: str, value: Any) -> bool:
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    return is_text and _IDENTIFIES.search(name) is not None and 0 < len(str(value)) <= 255
