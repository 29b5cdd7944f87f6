"""Lengths of time as people write them on a command line."""

from __future__ import annotations

from datetime import datetime, timedelta

from sisgate.errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

LONGEST = timedelta(days=36_500)
"""From today on a time so far away can still be written as a date."""


def parse_length(text: str) -> timedelta:
    """Return the length that a text such as 90s, 30m, 2h or 1d is; `UsageError` for another one.

    >>> parse_length("2h")
    datetime.timedelta(seconds=7200)
    """
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdigit()):
        raise UsageError(f"A length is written like 90s, 30m, 2h or 1d, not {text!r}.")
    if len(number) > 12 or (seconds := int(number) * _UNITS[unit]) > LONGEST.total_seconds():
        raise UsageError(f"{text[:20]} is longer than a hundred years.")
    return timedelta(seconds=seconds)


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the time to come that `--until` names; `UsageError` where it names none."""
    try:
        end = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--until is an ISO 8601 time, not {text!r}.") from None
    if end.tzinfo is None:
        raise UsageError("--until needs its zone, such as 2026-12-01T06:00:00-06:00.")
    if end <= now:
        raise UsageError(f"--until {text} has passed already.")
    return end


def parse_end(text: str, now: datetime) -> datetime:
    """Return the end that a length such as 2h, or a time, names.

    >>> from datetime import UTC
    >>> parse_end("2h", datetime(2026, 1, 1, tzinfo=UTC))
    datetime.datetime(2026, 1, 1, 2, 0, tzinfo=datetime.timezone.utc)
    """
    if "-" in text or ":" in text:
        return parse_moment(text, now)
    return now + parse_length(text)
