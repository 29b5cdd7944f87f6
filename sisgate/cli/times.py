"""Times and lengths of time as people write them on a command line: one rule for all options.

A time is so long ago or from now (90s, 30m, 2h, 1d), or in ISO 8601; without a zone it is in that
of this machine, as times are shown. The functions are parsers of Typer's options.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sisgate.clock import SystemClock
from sisgate.errors import UsageError

TIME = "TIME"
AGO = "2h or 1d ago, or ISO 8601; without a zone, this machine's."
AHEAD = "30m, 2h or 1d from now, or ISO 8601; without a zone, this machine's."
LENGTH = "LENGTH"
LENGTHS = "such as 90s, 30m, 2h or 1d."

LONGEST = timedelta(days=36_500)
"""From today on a time so far away can still be written as a date."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def length(text: str | timedelta) -> timedelta:
    """Return the length that a text such as 90s, 30m, 2h or 1d is; `UsageError` for another one.

    A length stays as it is: typer parses the default of an option, too.

    >>> length("2h")
    datetime.timedelta(seconds=7200)
    """
    if isinstance(text, timedelta):
        return text
    digits, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (digits.isascii() and digits.isdigit()):
        raise UsageError(f"A length of time is written like 90s, 30m, 2h or 1d, not {text[:40]!r}.")
    if len(digits) > 12 or (seconds := int(digits) * _UNITS[unit]) > LONGEST.total_seconds():
        raise UsageError(f"{text[:20]} is longer than a hundred years.")
    return timedelta(seconds=seconds)


def past(text: str) -> datetime:
    """Return the time that an option such as `--since` names."""
    return at(text, SystemClock().now(), -1)


def future(text: str) -> datetime:
    """Return the time to come that an option such as `--until` names."""
    now = SystemClock().now()
    end = at(text, now, 1)
    if end <= now:
        raise UsageError(f"{text[:40]} has passed already.")
    return end


def length_or_never(text: str | timedelta) -> timedelta | None:
    """Return a length, or None for `never`."""
    return None if text == "never" else length(text)


def at(text: str, now: datetime, direction: int) -> datetime:
    """Return the time that a text is; a length counts from `now` on (1) or back (-1).

    >>> from datetime import UTC
    >>> now = datetime(2026, 9, 1, 8, tzinfo=UTC)
    >>> str(at("2h", now, -1)), str(at("2026-12-01T06:00-06:00", now, 1))
    ('2026-09-01 06:00:00+00:00', '2026-12-01 06:00:00-06:00')
    """
    if text[-1:] in _UNITS and text[:-1].isdigit():
        return now + direction * length(text)
    try:
        found = datetime.fromisoformat(text)
        # Without a zone it is this machine's, which may not have that year.
        return found if found.tzinfo else found.astimezone()
    except (ValueError, OverflowError):
        raise UsageError(
            "A time is written like 90s, 30m, 2h or 1d, or in ISO 8601 like "
            f"2026-12-01T06:00-06:00, not {text[:40]!r}."
        ) from None
