"""The periods that calls are summed up by, and which of them cover a span of time. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Period(StrEnum):
    """A length of time. All begin at a whole one in UTC."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    EVER = "ever"
    """Since the first call; it begins at the epoch."""

    @property
    def length(self) -> timedelta:
        """How long it is; `EVER` has no length that could be used."""
        return _LENGTHS[self]

    def begin_of(self, moment: datetime) -> datetime:
        """Return when the period of a moment began.

        >>> Period.HOUR.begin_of(datetime(2026, 9, 1, 8, 31, tzinfo=UTC)).isoformat()
        '2026-09-01T08:00:00+00:00'
        """
        if self is Period.EVER:
            return EPOCH
        return moment - (moment - EPOCH) % self.length


_LENGTHS = {
    Period.MINUTE: timedelta(minutes=1),
    Period.HOUR: timedelta(hours=1),
    Period.DAY: timedelta(days=1),
    Period.EVER: timedelta.max,
}

Span = tuple[Period, datetime, datetime]
"""Periods that begin at the first time or later, and before the second."""


def covering(since: datetime, until: datetime, minutes_from: datetime) -> Iterator[Span]:
    """Yield the fewest periods that cover a span, oldest first; they don't overlap.

    Both ends are widened to a whole minute, or to a whole hour where that is before `minutes_from`:
    older minutes are not kept.
    """
    if since >= until:
        return
    finest = Period.MINUTE if since >= minutes_from else Period.HOUR
    begin = finest.begin_of(since)
    while begin < until:
        period = _widest(begin, until, minutes_from)
        end = period.begin_of(until)
        if period.length < timedelta(days=1):
            larger = Period.HOUR if period is Period.MINUTE else Period.DAY
            end = min(end, larger.begin_of(begin) + larger.length)
        if end <= begin:
            end = begin + period.length
        yield period, begin, end
        begin = end


def _widest(begin: datetime, until: datetime, minutes_from: datetime) -> Period:
    """Return the longest period that begins here and ends in time; else the shortest there is."""
    for period in (Period.DAY, Period.HOUR):
        if period.begin_of(begin) == begin and begin + period.length <= until:
            return period
    return Period.MINUTE if begin >= minutes_from else Period.HOUR
