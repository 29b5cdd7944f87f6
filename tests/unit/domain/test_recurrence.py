"""Slots: the newest at or before now, the first after it, through changes of the clock."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sisgate.domain.recurrence import Occurrences, Recurrence, checked_cron, offset_in

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


WINDOWS = st.integers(0, 86_400).map(lambda seconds: timedelta(seconds=seconds))
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=30)


@given(window=WINDOWS, schedule=NAMES, provider=NAMES)
def test_an_offset_is_in_its_window_and_the_same_each_time(
    window: timedelta, schedule: str, provider: str
) -> None:
    """In whole seconds; without a window there is none."""
    offset = offset_in(window, schedule, provider)
    assert timedelta(0) <= offset < max(window, timedelta(microseconds=1))
    assert offset.microseconds == 0
    assert offset == offset_in(window, schedule, provider)


def test_offsets_never_change() -> None:
    """Another version that computed others would start syncs twice, or not at all, on that day."""
    hour = timedelta(hours=1)
    found = [offset_in(hour, "nightly", name).total_seconds() for name in ("lincoln", "clark")]
    assert found == [3197, 1352]


@settings(max_examples=10)
@given(schedule=NAMES)
def test_offsets_of_many_providers_are_spread_evenly(schedule: str) -> None:
    """5,000 in half an hour: none of its minutes has more than twice its share."""
    window = timedelta(minutes=30)
    minutes = [
        offset_in(window, schedule, f"district-{number}") // timedelta(minutes=1)
        for number in range(5_000)
    ]
    most = max(minutes.count(minute) for minute in range(30))
    assert most < 2 * 5_000 / 30


@given(
    recurrence=st.sampled_from(RECURRENCES),
    now=MOMENTS,
    window=WINDOWS,
    share=st.floats(0, 1, exclude_max=True),
)
def test_a_provider_has_the_recurrence_of_its_schedule_later_by_its_offset(
    recurrence: Recurrence, now: datetime, window: timedelta, share: float
) -> None:
    """Whichever of the occurrences in the window that makes the last and the next one."""
    offset = timedelta(seconds=int(share * window.total_seconds()))
    times = Occurrences(recurrence, now, window)
    assert times.last(offset) == recurrence.last(now - offset)
    assert times.next_start(offset) == recurrence.next(now - offset) + offset
