"""When something recurring is due. Pure."""

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIELDS = 5
_TICK = timedelta(seconds=1)


@dataclass(frozen=True)
class Recurrence:
    """A cron expression of five fields in a time zone, or a repeating interval.

    On the days when the clocks change, a job of a fixed hour that would be skipped runs right
    after the gap, and one of a repeated hour runs once, as with Debian's cron.
    """

    cron: str | None = None
    every: timedelta | None = None
    zone: str = "UTC"

    @property
    def in_words(self) -> str:
        """The cron expression in words.

        >>> Recurrence(cron="0 2 * * 1-5").in_words
        'At 02:00 on Monday through Friday'
        """
        return CronSim(self.cron or "", EPOCH).explain()

    def last(self, now: datetime) -> datetime:
        """Return the newest occurrence at or before `now` (aware), in UTC.

        >>> Recurrence(every=timedelta(minutes=15)).last(
        ...     datetime(2026, 9, 1, 8, 20, tzinfo=UTC)
        ... ).minute
        15
        """
        if self.every is not None:
            return EPOCH + (now - EPOCH) // self.every * self.every
        # CronSim searches strictly before a time, in whole seconds.
        local = now.astimezone(ZoneInfo(self.zone)).replace(microsecond=0) + _TICK
        return next(CronSim(self.cron or "", local, reverse=True)).astimezone(UTC)

    def next(self, now: datetime) -> datetime:
        """Return the first occurrence after `now`, in UTC.

        >>> night = Recurrence(cron="0 2 * * *", zone="America/Chicago")
        >>> night.next(datetime(2026, 9, 1, 8, tzinfo=UTC)).isoformat()
        '2026-09-02T07:00:00+00:00'
        """
        if self.every is not None:
            return self.last(now) + self.every
        local = now.astimezone(ZoneInfo(self.zone))
        return next(CronSim(self.cron or "", local)).astimezone(UTC)


def offset_in(window: timedelta, schedule: str, provider: str) -> timedelta:
    """Return the fixed offset of a provider within a schedule's window, in whole seconds.

    By a hash of the two names: the same in every process, spread evenly over the window, and
    independent of which other providers there are.

    >>> str(offset_in(timedelta(minutes=30), "nightly", "lincoln"))
    '0:26:38'
    """
    digest = hashlib.sha256(f"{schedule}/{provider}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return timedelta(seconds=int(share * window.total_seconds()))


class Occurrences:
    """The newest occurrences of a recurrence at a time, for many offsets in a window.

    A provider's own recurrence is the schedule's, later by its offset.
    """

    def __init__(self, recurrence: Recurrence, now: datetime, window: timedelta) -> None:
        self._now = now
        found = [recurrence.last(now)]
        while found[-1] > now - window:
            found.append(recurrence.last(found[-1] - _TICK))
        self._times = [*sorted(found), recurrence.next(now)]

    def last(self, offset: timedelta) -> datetime:
        """Return the newest occurrence whose start, later by `offset`, is not after now.

        It is the occurrence itself, without the offset.
        """
        return self._times[self._after(offset) - 1]

    def next_start(self, offset: timedelta) -> datetime:
        """Return the first start after now: an occurrence and the offset."""
        return self._times[self._after(offset)] + offset

    def _after(self, offset: timedelta) -> int:
        return bisect_right(self._times, self._now - offset)


def checked_cron(text: str) -> str:
    """Return the cron expression if it is valid and ever due; `ValueError` otherwise."""
    if len(text.split()) != FIELDS:
        raise ValueError(
            f"write the five fields of a cron expression, such as 0 2 * * 1-5, not {text!r}"
        )
    try:
        next(CronSim(text, EPOCH))
    except (CronSimError, StopIteration):
        raise ValueError(f"{text!r} is not a cron expression, or is never due") from None
    return text
