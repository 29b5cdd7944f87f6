"""Lengths of time as people write them on a command line."""

from __future__ import annotations

from datetime import timedelta

from sisgate.errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_length(text: str) -> timedelta:
    """Return the length that a text such as 90s, 30m, 2h or 1d is; `UsageError` for another one.

    >>> parse_length("2h")
    datetime.timedelta(seconds=7200)
    """
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdigit()):
        raise UsageError(f"A length is written like 90s, 30m, 2h or 1d, not {text!r}.")
    try:
        return timedelta(seconds=int(number) * _UNITS[unit])
    except (OverflowError, ValueError):
        raise UsageError(f"{text[:20]} is longer than any calendar.") from None
