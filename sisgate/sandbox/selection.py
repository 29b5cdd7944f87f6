"""Filtered and sorted lists: found by reading every row, kept until the data changes."""

from __future__ import annotations

import asyncio
from array import array
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

_PAUSE_ROWS = 2000
_KEPT = 8

Row = Mapping[str, Any]


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


class Selections:
    """The selections of one district, for the next page of each."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, array[int]] = OrderedDict()

    async def select(
        self,
        key: Hashable,
        codes: Iterable[int],
        row_of: Callable[[int], Row],
        matches: Callable[[Row], bool],
        *,
        sort_by: str | None = None,
        descending: bool = False,
    ) -> array[int]:
        """Return the codes of the rows that match, sorted by a field if one is named.

        `key` stands for everything that the selection depends on, the state of the data included.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        selected: array[int] = array("q")
        sort_keys: list[str] = []
        for count, code in enumerate(codes, 1):
            row = row_of(code)
            if matches(row):
                selected.append(code)
                if sort_by is not None:
                    sort_keys.append(next(values_at(row, sort_by), ""))
            if count % _PAUSE_ROWS == 0:
                # Other districts and calls continue while a big district is searched.
                await asyncio.sleep(0)
        if sort_by is not None:
            places = sorted(range(len(selected)), key=sort_keys.__getitem__, reverse=descending)
            selected = array("q", (selected[place] for place in places))
        self._kept[key] = selected
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return selected
