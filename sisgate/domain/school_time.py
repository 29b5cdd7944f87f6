"""When school is open: days of the week, hours, and days on which it is closed. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

Span = tuple[datetime, datetime]
"""From the first time until the second."""

DAY = timedelta(days=1)


@dataclass(frozen=True)
class SchoolTime:
    """The hours of school days; `days` count from 0, Monday.

    `closed` are first and last days of holidays and breaks. An `end` before `start` is on the next
    day.
    """

    zone: str
    start: time
    end: time
    days: frozenset[int]
    closed: tuple[tuple[date, date], ...] = ()

    def spans(self, since: datetime, until: datetime) -> Iterator[Span]:
        """Yield when school is open from `since` until `until`, oldest first, in UTC."""
        zone = ZoneInfo(self.zone)
        day = since.astimezone(zone).date() - DAY
        last = until.astimezone(zone).date()
        while day <= last:
            if self._is_school_day(day):
                ends_on = day if self.end > self.start else day + DAY
                begin = datetime.combine(day, self.start, zone).astimezone(UTC)
                end = datetime.combine(ends_on, self.end, zone).astimezone(UTC)
                begin, end = max(begin, since), min(end, until)
                if begin < end:
                    yield begin, end
            day += DAY

    def _is_school_day(self, day: date) -> bool:
        is_closed = any(first <= day <= last for first, last in self.closed)
        return day.weekday() in self.days and not is_closed


def seconds_of(spans: Iterator[Span]) -> float:
    """Return how long spans are together."""
    return sum((end - begin).total_seconds() for begin, end in spans)


def overlap(spans: list[Span], others: list[Span]) -> Iterator[Span]:
    """Yield what is in both; each list is in order and has no overlaps."""
    i = j = 0
    while i < len(spans) and j < len(others):
        begin = max(spans[i][0], others[j][0])
        end = min(spans[i][1], others[j][1])
        if begin < end:
            yield begin, end
        if spans[i][1] < others[j][1]:
            i += 1
        else:
            j += 1
