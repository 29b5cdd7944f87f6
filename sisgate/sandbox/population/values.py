"""Reading fields of rows by dotted paths, as searches and filters of every dialect do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def values_at(row: Any, path: str) -> Iterator[str]:
    """Yield the values at a dotted path as text, one for each element of a list on the way.

    >>> list(values_at({"roles": [{"role": "student"}, {"role": "aide"}]}, "roles.role"))
    ['student', 'aide']
    """
    head, _, rest = path.partition(".")
    value = row.get(head) if isinstance(row, Mapping) else None
    for item in value if isinstance(value, list) else [value]:
        if rest:
            yield from values_at(item, rest)
        elif isinstance(item, bool):
            yield str(item).lower()
        elif item is not None and not isinstance(item, Mapping):
            yield str(item)
