"""Ranges of events: what a seal covers, as it stands in its row."""

from __future__ import annotations

import json
from collections.abc import Iterable

Range = tuple[int, int, int]
"""Writer, first and last number, without a gap between."""


def ranges_of(covers: str) -> list[Range]:
    """Return what a seal covers; `ValueError` or `TypeError` where that cannot be read."""
    ranges = []
    for writer, first, last in json.loads(covers):
        if not (writer >= 0 and 1 <= first <= last and last - first < 1 << 31):
            raise ValueError(covers)
        ranges.append((int(writer), int(first), int(last)))
    return ranges


def size_of(ranges: Iterable[Range]) -> int:
    """Return how many events ranges hold."""
    return sum(last - first + 1 for _, first, last in ranges)
