"""Slots: the newest at or before now, the first after it, through changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.rhythms import Rhythm, checked_cron

CHICAGO = "America/Chicago"
RHYTHMS = [
    Rhythm(every=timedelta(minutes=15)),
    Rhythm(every=timedelta(hours=36)),
    Rhythm(cron="*/10 * * * *", zone=CHICAGO),
    Rhythm(cron="0 2 * * 1-5", zone=CHICAGO),
    Rhythm(cron="30 1 1 * *", zone="Europe/Vienna"),
    Rhythm(cron="0 0 * * *"),
]
MOMENTS = st.integers(0, 10**14).map(
    lambda micros: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)


@given(rhythm=st.sampled_from(RHYTHMS), now=MOMENTS)
def test_now_lies_between_the_last_slot_and_the_next(rhythm: Rhythm, now: datetime) -> None:
    """And nothing is due between: the last slot of just before the next is the same."""
    last, after = rhythm.last(now), rhythm.next(now)
    assert last <= now < after
    assert rhythm.last(last) == last
    assert rhythm.last(after) == after
    assert rhythm.last(after - timedelta(microseconds=1)) == last


@pytest.mark.parametrize(
    ("cron", "day", "slots"),
    [
        # Clocks go forward from 2:00 to 3:00: what would be skipped runs right after.
        ("30 2 * * *", date(2026, 3, 8), ["2026-03-08T03:00:00-05:00"]),
        # Clocks go back from 2:00 to 1:00: an hour that comes twice has one run.
        ("30 1 * * *", date(2026, 11, 1), ["2026-11-01T01:30:00-05:00"]),
        ("0 2 * * 1-5", date(2026, 9, 5), []),
    ],
)
def test_each_day_has_its_slot_when_the_clocks_change(
    cron: str, day: date, slots: list[str]
) -> None:
    """As with Debian's cron."""
    rhythm, zone = Rhythm(cron=cron, zone=CHICAGO), ZoneInfo(CHICAGO)
    midnight = datetime.combine(day, time(), zone)
    now, found = midnight - timedelta(seconds=1), []
    while (now := rhythm.next(now)) < midnight + timedelta(days=1):
        found.append(now.astimezone(zone).isoformat())
    assert found == slots


@pytest.mark.parametrize(
    "text", ["", "0 2 * *", "0 2 * * * *", "61 * * * *", "0 0 30 2 *", "often"]
)
def test_what_is_never_due_is_no_cron_expression(text: str) -> None:
    """Told when it is read, not when it should have run."""
    with pytest.raises(ValueError, match="cron"):
        checked_cron(text)
