"""Objectives are measured by calls and by time."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.call_results import CallResult, CallTally
from sisgate.domain.school_time import SchoolTime, overlap, seconds_of
from sisgate.domain.service_levels import (
    Measurement,
    ObjectiveKind,
    ReadTimes,
    StateChange,
    down_spans,
    stale_spans,
)
from sisgate.monitoring.sla import Evidence, service_level
from sisgate.settings.objectives import ObjectivesConfig

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
A, B = "https://a", "https://b"


def test_half_of_the_budget_is_left_after_half_of_the_bad_calls() -> None:
    """Of 1000 calls 10 may fail."""
    measured = Measurement(ObjectiveKind.AVAILABILITY, None, 0.99, None, 1000, 5)
    assert (measured.is_met, measured.budget_left, measured.burn_rate) == (True, 0.5, 0.5)


def test_an_outage_of_a_new_installation_costs_little_of_a_month() -> None:
    """After 4 minutes, 3 of 4 calls failed; the month's budget is 1 of 100 of all its calls."""
    evidence = Evidence(
        MONDAY, MONDAY + 30 * DAY,
        {
            (result, "students"): CallTally(calls)
            for result, calls in ((CallResult.OK, 25), (CallResult.SERVER_ERROR, 75))
        },
        known_since=MONDAY + 30 * DAY - timedelta(minutes=4),
    )  # fmt: skip
    level = service_level("lincoln", ObjectivesConfig(availability=0.99), None, evidence)
    (measured,) = level.measurements
    assert (measured.good_share, measured.is_met) == (0.25, True)
    assert measured.budget_left == pytest.approx(1 - 75 * 4 / (30 * 24 * 60), abs=1e-4)


def test_without_a_call_nothing_is_known() -> None:
    """Neither met nor missed."""
    measured = Measurement(ObjectiveKind.AVAILABILITY, None, 0.99, None, 0, 0)
    assert (measured.is_met, measured.budget_left, measured.burn_rate) == (None, None, None)


def test_school_is_open_on_school_days_in_its_own_zone() -> None:
    """Not at the weekend, not on a holiday, and by local time across the change of clocks."""
    calendar = SchoolTime(
        "America/Chicago", time(8), time(16), frozenset(range(5)),
        ((date(2026, 11, 26), date(2026, 11, 27)),),
    )  # fmt: skip
    spans = list(calendar.spans(MONDAY, MONDAY + 7 * DAY))
    assert [begin.day for begin, _ in spans] == [23, 24, 25]
    assert spans[0] == (MONDAY + 14 * HOUR, MONDAY + 22 * HOUR)
    summer = datetime(2026, 10, 30, tzinfo=UTC)
    assert next(calendar.spans(summer, summer + DAY))[0].hour == 13


def test_a_night_shift_ends_on_the_next_day() -> None:
    """An end before the beginning."""
    calendar = SchoolTime("UTC", time(22), time(6), frozenset({0}))
    assert seconds_of(calendar.spans(MONDAY, MONDAY + 7 * DAY)) == 8 * 3600


SPANS = st.lists(st.integers(0, 100), max_size=12).map(
    lambda numbers: [
        (MONDAY + begin * HOUR, MONDAY + end * HOUR)
        for begin, end in zip(sorted(set(numbers))[::2], sorted(set(numbers))[1::2], strict=False)
    ]
)


@given(SPANS, SPANS)
def test_an_overlap_is_what_is_in_both(
    one: list[tuple[datetime, datetime]], other: list[tuple[datetime, datetime]]
) -> None:
    """Hour by hour."""
    both = list(overlap(one, other))
    for number in range(101):
        at = MONDAY + number * HOUR
        inside = [any(b <= at < e for b, e in spans) for spans in (one, other, both)]
        assert inside[2] == (inside[0] and inside[1])


def test_data_are_stale_from_their_bound_to_the_next_read() -> None:
    """And never before they were first read."""
    first, last = MONDAY + 2 * HOUR, MONDAY + 12 * HOUR
    stale = list(
        stale_spans(ReadTimes(first, last, [(first, last)]), 4 * HOUR, MONDAY, MONDAY + DAY)
    )
    assert stale == [(MONDAY + 6 * HOUR, MONDAY + 12 * HOUR), (MONDAY + 16 * HOUR, MONDAY + DAY)]
    regular = stale_spans(ReadTimes(first, last), 4 * HOUR, MONDAY, MONDAY + DAY)
    assert list(regular) == stale[1:]


@pytest.mark.parametrize("endpoints", [[A], [A, B]])
def test_a_provider_is_down_while_none_of_its_endpoints_takes_calls(endpoints: list[str]) -> None:
    """What began before the span counts from its beginning; what lasts, to its end."""
    changes = [
        StateChange(MONDAY - HOUR, A, True),
        StateChange(MONDAY + HOUR, B, True),
        StateChange(MONDAY + 2 * HOUR, A, False),
        StateChange(MONDAY + 3 * HOUR, A, True),
        StateChange(MONDAY + 9 * HOUR, B, False),
    ]
    down = list(down_spans(changes, endpoints, MONDAY, MONDAY + 5 * HOUR))
    first = MONDAY if endpoints == [A] else MONDAY + HOUR
    assert down == [(first, MONDAY + 2 * HOUR), (MONDAY + 3 * HOUR, MONDAY + 5 * HOUR)]
