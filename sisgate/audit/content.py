"""Events and seals as the bytes that are authenticated, the same when written and when read."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

FIRST_HEAD = b""
"""What the first seal is linked to."""


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_encode_any = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


def micros(at: datetime | str) -> int:
    """Return microseconds since 1970. SQLite returns text without a zone.

    `ValueError` if a text is garbled or is another way to write the same time, which must be a
    change: sisgate does not write it so.

    >>> micros("2026-09-01 08:00:00.000001") - micros(datetime(2026, 9, 1, 8, tzinfo=UTC))
    1
    """
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    if isinstance(at, str) and at not in {str(moment), moment.isoformat(" ", "microseconds")}:
        raise ValueError(at)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // _MICROSECOND


def event_content(fields: tuple[Any, ...]) -> bytes:
    """Return the bytes that an event's MAC covers: `EVENT_COLUMNS` as a JSON array.

    Texts that are not UTF-8 become what they are in the database. `ValueError` or `TypeError` for
    a value that no event has.
    """
    writer, number, at, *rest = fields
    return _encode([writer, number, micros(at), *rest]).encode("utf-8", "surrogateescape")


def seal_content(fields: tuple[Any, ...], head_before: bytes) -> bytes:
    """Return the bytes that a seal's head covers: `SEAL_COLUMNS` and the head before."""
    number, at, events, total, covers, digest = fields
    values = [number, micros(at), events, total, covers, bytes(digest).hex(), head_before.hex()]
    return _encode(values).encode("utf-8", "surrogateescape")


def compact_json(value: Any) -> str:
    """Return JSON without blanks; what is not JSON as text."""
    return _encode_any(value)


Range = tuple[int, int, int]
"""Consecutive events that a seal covers: writer, first and last number."""


def ranges_of(covers: str) -> list[Range]:
    """Return what a seal covers; `ValueError` or `TypeError` if that cannot be read."""
    ranges = []
    for writer, first, last in json.loads(covers):
        if not (writer >= 0 and 1 <= first <= last and last - first < 1 << 31):
            raise ValueError(covers)
        ranges.append((int(writer), int(first), int(last)))
    return ranges


def size_of(ranges: Iterable[Range]) -> int:
    """Return how many events ranges hold."""
    return sum(last - first + 1 for _, first, last in ranges)
