"""The sliding window against the plainest oracle: count the admitted arrivals of each window."""

from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.rates import Rate
from sisgate.sandbox.district import SlidingWindow

# Eighths of a second are exact in binary, so that the oracle counts without rounding.
gaps = st.lists(st.integers(0, 40).map(lambda n: n / 8), max_size=80)


@given(gaps, st.integers(1, 6), st.integers(1, 40).map(lambda n: n / 8))
def test_window_admits_as_many_as_fit_and_no_more(
    waits: list[float], calls: int, period: float
) -> None:
    """An arrival is refused exactly when the window before it is full."""
    window, now, admitted = SlidingWindow(Rate(calls, period)), 0.0, list[float]()
    for wait in waits:
        now += wait
        inside = sum(now - period < each <= now for each in admitted)
        refused = window.arrive(now)
        assert (refused > 0) == (inside >= calls)
        if not refused:
            admitted.append(now)
        else:
            assert window.arrivals - len(admitted) == window.refused


@given(gaps, st.integers(1, 6))
def test_refusal_ends_when_it_says(waits: list[float], calls: int) -> None:
    """After the seconds told one call is admitted."""
    window, now = SlidingWindow(Rate(calls, 5.0)), 0.0
    for wait in waits:
        now += wait
        seconds = window.arrive(now)
        if seconds:
            now += seconds
            assert window.arrive(now) == 0.0


def test_refused_calls_count_when_asked_to() -> None:
    """A strict provider punishes the impatient."""
    window = SlidingWindow(Rate(1, 10.0), count_refused=True)
    assert [bool(window.arrive(t)) for t in (0.0, 5.0, 10.0, 15.0, 25.0)] == [
        False, True, True, True, False,
    ]  # fmt: skip


def test_no_quota_admits_everything() -> None:
    """And says that there is none."""
    window = SlidingWindow(None)
    assert not any(window.arrive(0.0) for _ in range(100))
    assert window.left(0.0) is None
