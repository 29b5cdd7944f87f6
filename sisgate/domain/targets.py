"""What a `request` job asks of a provider, as it is stored in its target. Pure.

A target has `method`, `path`, `query` and `json`, and where it is given a `body` and `headers`.
"""

import base64
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sisgate.errors import UsageError

Value = str | float | bool | None
Query = Mapping[str, Value | Sequence[Value]] | Sequence[tuple[str, Value]]
"""The parameters of a query. A name has several values as pairs, or as a list; none with None."""

StoredQuery = dict[str, str] | list[list[str]]


def stored_query(query: Query | None) -> StoredQuery:
    """Return a query as it is stored: a mapping, and pairs only if a name occurs several times.

    So the same parameters are the same question in whatever form and order they are given.

    >>> stored_query([("limit", "5")]), stored_query([("id", "1"), ("id", "2")])
    ({'limit': '5'}, [['id', '1'], ['id', '2']])
    >>> stored_query({"id": [1, 2], "after": None})
    [['id', '1'], ['id', '2']]

    Raises `UsageError` for what is no query.
    """
    given = query.items() if isinstance(query, Mapping) else query or ()
    try:
        pairs = [[str(name), text] for name, value in given for text in _texts(value)]
    except (TypeError, ValueError):
        raise UsageError(
            "query is a mapping of names to values or lists of values, or a list of pairs."
        ) from None
    by_name = dict(pairs)
    return by_name if len(by_name) == len(pairs) else pairs


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [text for each in value for text in _texts(each)]
    if isinstance(value, Mapping | AbstractSet | bytes):
        raise TypeError
    return [str(value)]


def query_pairs(stored: StoredQuery | None) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a stored query.

    >>> query_pairs({"limit": "5"}), query_pairs([["id", "1"], ["id", "2"]])
    ((('limit', '5'),), (('id', '1'), ('id', '2')))
    """
    pairs = stored.items() if isinstance(stored, Mapping) else stored or ()
    return tuple((str(name), str(value)) for name, value in pairs)


def stored_body(body: bytes) -> dict[str, str]:
    """Return a body as it is stored: as text, in which an erasure finds a person, if it is text.

    >>> stored_body(b'{"id": 7}'), stored_body(bytes([255]))
    ({'text': '{"id": 7}'}, {'base64': '/w=='})
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    return {"text": text}


def body_of(target: Mapping[str, Any]) -> bytes | None:
    """Return the body in a target, None without one.

    >>> body_of({"body": {"text": "id,name"}}), body_of({"json": {}})
    (b'id,name', None)
    """
    stored = target.get("body")
    if stored is None:
        return None
    if "text" in stored:
        return str(stored["text"]).encode()
    return base64.b64decode(stored["base64"])
