"""Times as people are shown them."""

from __future__ import annotations

from datetime import datetime


def local_time(value: datetime | None) -> str:
    """Return a time in the machine's own time zone, with its name, or a dash."""
    return "-" if value is None else f"{value.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def duration(seconds: float) -> str:
    """Return a length of time.

    >>> [duration(s) for s in (0.42, 9.5, 75, 3725)]
    ['0.4 s', '9.5 s', '1 min 15 s', '1 h 2 min']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
