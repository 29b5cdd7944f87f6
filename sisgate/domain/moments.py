"""Times that apps give: aware ones, so that nobody has to guess a zone."""

from __future__ import annotations

from datetime import datetime

from sisgate.errors import UsageError


def aware(name: str, moment: datetime | None) -> datetime | None:
    """Return a time that has its zone, or None; `UsageError` for one without.

    >>> aware("until", datetime(2026, 12, 1, 6))
    Traceback (most recent call last):
    sisgate.errors.UsageError: until needs a time zone: 2026-12-01T06:00:00 has none.
    """
    if moment is not None and moment.utcoffset() is None:
        raise UsageError(f"{name} needs a time zone: {moment.isoformat()} has none.")
    return moment
