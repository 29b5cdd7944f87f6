"""Dates and times as providers write them, and as OneRoster wants them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

_DATE = re.compile(r"(\d{4})([-/]?)(\d{2})\2(\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:00)?)?")

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def utc_text(text: str) -> str:
    """Return an ISO 8601 time in UTC with `Z`, unchanged if it is that already.

    A time without a zone is taken as UTC, which the specification prescribes. `ValueError` for
    what is no such time.

    >>> utc_text("2026-09-01T08:00:00-05:00")
    '2026-09-01T13:00:00.000Z'
    """
    moment = datetime.fromisoformat(text)
    if _UTC.fullmatch(text):
        return text
    try:
        return utc_timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except OverflowError as error:
        raise ValueError from error


def utc_timestamp(moment: datetime) -> str:
    """Return an aware time as OneRoster writes it: UTC, cut (not rounded) to milliseconds."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def iso_date(text: str) -> str:
    """Return `YYYY-MM-DD` where `text` is unambiguously that day; otherwise unchanged.

    A midnight in UTC is a day. Any other time of day is not, since it may be a midnight elsewhere,
    and neither is `9/1/2026`, of which nobody can say which is the month.

    >>> iso_date("2026-09-01T00:00:00.000Z"), iso_date("20260901"), iso_date("9/1/2026")
    ('2026-09-01', '2026-09-01', '9/1/2026')
    """
    if (match := _DATE.fullmatch(text.strip())) is None:
        return text
    try:
        return date(int(match[1]), int(match[3]), int(match[4])).isoformat()
    except ValueError:
        return text
