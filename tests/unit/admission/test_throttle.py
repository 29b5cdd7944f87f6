"""The adaptive throttle decides from one answer."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.admission.throttle import (
    FACTOR_FLOOR,
    RECOVERY_STEP,
    LatencyTrend,
    ThrottleSignal,
    decide,
)

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)


def test_a_429_halves_the_pace_and_waits_as_asked() -> None:
    """Multiplicative decrease, and Retry-After is honoured."""
    decision = decide(0.8, ThrottleSignal(429, {"retry-after": "12"}), NOW)
    assert (decision.factor, decision.block_seconds) == (0.4, 12.0)


def test_a_429_that_says_nothing_waits_longer_each_time() -> None:
    """Without Retry-After the block doubles as the factor halves."""
    first = decide(1.0, ThrottleSignal(429, {}), NOW)
    second = decide(first.factor, ThrottleSignal(429, {"Retry-After": "garbage"}), NOW)
    assert (first.block_seconds, second.block_seconds) == (2.0, 4.0)


def test_a_429_falls_back_to_the_reset_of_the_empty_quota() -> None:
    """RateLimit headers stand in for a missing Retry-After."""
    headers = {"RateLimit-Remaining": "0", "RateLimit-Reset": "45"}
    assert decide(1.0, ThrottleSignal(429, headers), NOW).block_seconds == 45


def test_a_503_lowers_the_pace_and_blocks_only_if_asked() -> None:
    """An outage is the breaker's; only a Retry-After blocks the provider."""
    assert decide(1.0, ThrottleSignal(503, {}), NOW).block_seconds == 0
    asked = decide(1.0, ThrottleSignal(503, {"Retry-After": "5"}), NOW)
    assert (asked.factor, asked.block_seconds) == (0.75, 5.0)


@pytest.mark.parametrize("status", [None, 500, 502, 504])
def test_failures_leave_the_pace_alone(status: int | None) -> None:
    """A lost or broken answer says nothing about the quota."""
    assert decide(0.5, ThrottleSignal(status, {}), NOW).factor == 0.5


@pytest.mark.parametrize("status", [200, 304, 404])
def test_successes_recover_slowly_up_to_full_pace(status: int) -> None:
    """Additive increase, never above 1. A refusal of the call itself is an answer like any."""
    assert decide(0.5, ThrottleSignal(status, {}), NOW).factor == 0.5 + RECOVERY_STEP
    assert decide(0.99, ThrottleSignal(status, {}), NOW).factor == 1
    assert decide(1.0, ThrottleSignal(status, {}), NOW).reason == "unchanged"


def test_slow_answers_lower_the_pace_towards_what_the_latency_allows() -> None:
    """At four times the usual latency the pace goes to a half in steps, and no further."""
    trend = LatencyTrend(recent=4.0, usual=1.0, answers=500)
    factor = 1.0
    for _ in range(50):
        factor = decide(factor, ThrottleSignal(200, {}, trend), NOW).factor
    assert factor == pytest.approx(0.5)


def test_latency_within_tolerance_changes_nothing() -> None:
    """Up to twice the usual is noise, and so is anything while answers are fast."""
    assert decide(1.0, ThrottleSignal(200, {}, LatencyTrend(2.0, 1.0, 500)), NOW).factor == 1
    assert decide(1.0, ThrottleSignal(200, {}, LatencyTrend(0.4, 0.01, 500)), NOW).factor == 1


def test_hints_on_good_answers_count_only_against_our_own_count() -> None:
    """Nothing left is normal where we use the limit to the full; else somebody else spends it."""
    empty = {"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}
    assert decide(1.0, ThrottleSignal(200, empty), NOW).block_seconds == 0
    assert decide(1.0, ThrottleSignal(200, empty, permits_left=1), NOW).block_seconds == 0
    assert decide(1.0, ThrottleSignal(200, empty, permits_left=400), NOW).block_seconds == 30
    half = {"RateLimit-Remaining": "200", "RateLimit-Reset": "30"}
    assert decide(1.0, ThrottleSignal(200, half, permits_left=400), NOW).factor == 0.5


def test_the_trend_follows_recent_answers_faster_than_the_usual() -> None:
    """Ten slow answers move the recent average well past the usual one."""
    trend = LatencyTrend()
    for _ in range(200):
        trend = trend.seen(0.1)
    for _ in range(10):
        trend = trend.seen(1.0)
    assert trend.gradient < 0.5


@given(st.integers())
def test_answers_that_take_any_time_at_random_are_no_sign_of_load(seed: int) -> None:
    """From 0 to 5 seconds, evenly: the pace stays, whatever came first."""
    rng, trend = random.Random(seed), LatencyTrend()
    for _ in range(300):
        trend = trend.seen(rng.uniform(0, 5))
        assert trend.gradient == 1


@given(
    factor=st.floats(FACTOR_FLOOR, 1),
    status=st.none() | st.integers(100, 599),
    headers=st.dictionaries(
        st.sampled_from(["Retry-After", "RateLimit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]),
        st.text() | st.integers().map(str),
    ),
    latencies=st.lists(st.floats(0, 1e6), max_size=5),
    left=st.none() | st.integers(0, 10_000),
)
def test_decisions_stay_within_bounds(
    factor: float,
    status: int | None,
    headers: dict[str, str],
    latencies: list[float],
    left: int | None,
) -> None:
    """Whatever comes back: the factor is in [floor, 1] and the block in [0, cap]."""
    trend = LatencyTrend()
    for seconds in latencies:
        trend = trend.seen(seconds)
    decision = decide(factor, ThrottleSignal(status, headers, trend, left), NOW, cap_seconds=60)
    assert FACTOR_FLOOR <= decision.factor <= 1
    assert 0 <= decision.block_seconds <= 60
