"""How many calls may run at once, by local time."""

from datetime import UTC, datetime, time

import pytest

from sisgate.admission.spec import ConcurrencySchedule, ConcurrencyWindow, LimitSpec, concurrency_at

SCHOOL_HOURS = ConcurrencySchedule(
    "America/Chicago", (ConcurrencyWindow(time(7), time(17), 1),), otherwise=5
)


@pytest.mark.parametrize(
    ("utc", "limit"),
    [
        (datetime(2026, 9, 1, 11, 59, tzinfo=UTC), 5),  # 6:59 in Chicago, a Tuesday
        (datetime(2026, 9, 1, 12, 0, tzinfo=UTC), 1),  # 7:00
        (datetime(2026, 9, 1, 22, 0, tzinfo=UTC), 5),  # 17:00: the end is not included
        (datetime(2026, 9, 5, 15, 0, tzinfo=UTC), 5),  # a Saturday
        (datetime(2026, 12, 1, 12, 30, tzinfo=UTC), 5),  # winter time: 6:30
    ],
)
def test_school_hours_are_local_time_on_school_days(utc: datetime, limit: int) -> None:
    """One call at a time in school hours, five otherwise, through daylight saving time."""
    assert concurrency_at(LimitSpec((), schedule=SCHOOL_HOURS), utc) == limit


def test_a_window_past_midnight_belongs_to_the_day_it_starts() -> None:
    """Friday 22:00 to 06:00 holds on Saturday morning, not on Friday morning."""
    night = ConcurrencyWindow(time(22), time(6), 3, days=frozenset({4}))
    spec = LimitSpec((), schedule=ConcurrencySchedule("UTC", (night,)))
    assert concurrency_at(spec, datetime(2026, 9, 5, 5, tzinfo=UTC)) == 3
    assert concurrency_at(spec, datetime(2026, 9, 4, 23, tzinfo=UTC)) == 3
    assert concurrency_at(spec, datetime(2026, 9, 4, 5, tzinfo=UTC)) is None


def test_the_smallest_of_all_that_holds_counts() -> None:
    """A schedule does not lift `max_concurrency`."""
    spec = LimitSpec((), max_concurrency=2, schedule=SCHOOL_HOURS)
    assert concurrency_at(spec, datetime(2026, 9, 1, 3, tzinfo=UTC)) == 2
    assert concurrency_at(LimitSpec(()), datetime(2026, 9, 1, tzinfo=UTC)) is None
