"""Any span of time is covered by few periods, none of them twice."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.periods import Period, covering

NOW = datetime(2026, 9, 15, 13, 37, tzinfo=UTC)
MINUTES_FROM = NOW - timedelta(hours=6)
TIMES = st.integers(0, 60 * 24 * 62).map(lambda minutes: NOW - timedelta(minutes=minutes))


@given(TIMES, TIMES)
def test_a_span_is_covered_once(one: datetime, other: datetime) -> None:
    """Each period begins where the one before it ends, at a beginning of its own kind."""
    since, until = min(one, other), max(one, other)
    spans = list(covering(since, until, MINUTES_FROM))
    if since == until:
        assert spans == []
        return
    finest = Period.MINUTE if since >= MINUTES_FROM else Period.HOUR
    assert spans[0][1] == finest.begin_of(since)
    assert spans[-1][2] >= until
    assert spans[-1][2] - until < timedelta(hours=1)
    for (_, _, end), (_, begin, _) in pairwise(spans):
        assert begin == end
    for period, begin, end in spans:
        assert begin < end
        assert period.begin_of(begin) == begin
        assert period.begin_of(end) == end
        assert period is not Period.MINUTE or begin >= MINUTES_FROM


def test_a_month_is_mostly_days() -> None:
    """Few rows are read for a long span."""
    spans = list(covering(NOW - timedelta(days=30), NOW, MINUTES_FROM))
    assert [period for period, _, _ in spans] == [
        Period.HOUR, Period.DAY, Period.HOUR, Period.MINUTE,
    ]  # fmt: skip


def test_a_recent_hour_is_minutes_and_ends_with_the_minute() -> None:
    """What happened in the last hour does not include the one before."""
    since = NOW - timedelta(hours=1)
    spans = list(covering(since, NOW, MINUTES_FROM))
    assert (spans[0][1], spans[-1][2]) == (since, NOW)
    assert {period for period, _, _ in spans} == {Period.MINUTE}
