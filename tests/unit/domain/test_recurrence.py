"""Slots: the newest at or before now, the first after it, through changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.recurrence import Recurrence, checked_cron

CHICAGO = "America/Chicago"
RECURRENCES = [
    Recurrence(every=timedelta(minutes=15)),
    Recurrence(every=timedelta(hours=36)),
    Recurrence(cron="*/10 * * * *", zone=CHICAGO),
    Recurrence(cron="0 2 * * 1-5", zone=CHICAGO),
    Recurrence(cron="30 1 1 * *", zone="Europe/Vienna"),
    Recurrence(cron="0 0 * * *"),
]
MOMENTS = st.integers(0, 10**14).map(
    lambda micros: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)


@given(recurrence=st.sampled_from(RECURRENCES), now=MOMENTS)
def test_now_lies_between_the_last_occurrence_and_the_next(
    recurrence: Recurrence, now: datetime
) -> None:
    """And nothing is due between: the last occurrence of just before the next is the same."""
    last, after = recurrence.last(now), recurrence.next(now)
    assert last <= now < after
    assert recurrence.last(last) == last
    assert recurrence.last(after) == after
    assert recurrence.last(after - timedelta(microseconds=1)) == last


@pytest.mark.parametrize(
    ("cron", "day", "occurrences"),
    [
        # Clocks go forward from 2:00 to 3:00: what would be skipped runs right after.
        ("30 2 * * *", date(2026, 3, 8), ["2026-03-08T03:00:00-05:00"]),
        # Clocks go back from 2:00 to 1:00: an hour that comes twice has one run.
        ("30 1 * * *", date(2026, 11, 1), ["2026-11-01T01:30:00-05:00"]),
        ("0 2 * * 1-5", date(2026, 9, 5), []),
    ],
)
def test_each_day_has_its_occurrence_when_the_clocks_change(
    cron: str, day: date, occurrences: list[str]
) -> None:
    """As with Debian's cron."""
    recurrence, zone = Recurrence(cron=cron, zone=CHICAGO), ZoneInfo(CHICAGO)
    midnight = datetime.combine(day, time(), zone)
    now, found = midnight - timedelta(seconds=1), []
    while (now := recurrence.next(now)) < midnight + timedelta(days=1):
        found.append(now.astimezone(zone).isoformat())
    assert found == occurrences


@pytest.mark.parametrize(
    "text", ["", "0 2 * *", "0 2 * * * *", "61 * * * *", "0 0 30 2 *", "often"]
)
def test_what_is_never_due_is_no_cron_expression(text: str) -> None:
    """Told when it is read, not when it should have run."""
    with pytest.raises(ValueError, match="cron"):
        checked_cron(text)
