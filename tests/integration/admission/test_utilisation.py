"""With a backlog the limit is used to the full, and never passed, at any latency."""

import pytest

from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import LimitSpec
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from testbed.clock import ManualClock
from tests.integration.admission.fleet import Fleet, most_in_a_window


def fleet_of(
    limiter: Limiter,
    clock: ManualClock,
    *rates: str,
    latency_seconds: float = 0.0,
    late_seconds: float = 0.0,
    arrival_bound_seconds: float | None = None,
) -> Fleet:
    """Return a fleet on a provider with these windows."""
    windows = tuple(Rate.parse(rate) for rate in rates)
    spec = LimitSpec(windows, arrival_bound_seconds=arrival_bound_seconds)
    fleet = Fleet(limiter, clock, spec, latency_seconds=latency_seconds, late_seconds=late_seconds)
    assert limiter.rebuild(fleet.provider, spec, [])
    return fleet


@pytest.mark.parametrize("priority", [Priority.LOW, Priority.URGENT])
@pytest.mark.parametrize("rates", [("20/s",), ("60/10s",), ("1000/h",), ("1000/h", "20/s")])
def test_backlog_of_one_priority_uses_the_limit(
    limiter: Limiter, clock: ManualClock, rates: tuple[str, ...], priority: Priority
) -> None:
    """At least 99.5 % of the slowest window in every period, low work alone included."""
    fleet = fleet_of(limiter, clock, *rates)
    fleet.priority = priority
    period, calls = fleet.spec.windows[0].period_seconds, fleet.spec.windows[0].calls
    fleet.run(period * 3)
    for n in range(3):
        assert fleet.granted_between(n * period, (n + 1) * period) >= 0.995 * calls
    for rate in fleet.spec.windows:
        assert most_in_a_window(fleet.spans, rate.period_seconds) <= rate.calls


@pytest.mark.parametrize(
    ("rate", "latency", "periods"),
    [("60/10s", 0.05, 8), ("60/10s", 1, 8), ("60/10s", 5, 8), ("1000/h", 1, 3), ("1000/h", 5, 3)],
)
def test_latency_costs_no_more_than_it_must(
    limiter: Limiter, clock: ManualClock, rate: str, latency: float, periods: int
) -> None:
    """Each slot is used once per period + latency, less the standing reserve, and not one over."""
    fleet = fleet_of(limiter, clock, rate, latency_seconds=latency)
    window = fleet.spec.windows[0]
    cycle = window.period_seconds + latency
    fleet.run(cycle * periods)
    used = fleet.granted_between(cycle, cycle * periods)
    assert used >= 0.996 * window.calls * (periods - 1)
    assert most_in_a_window(fleet.spans, window.period_seconds) <= window.calls


def test_an_arrival_bound_gives_short_windows_back_to_slow_providers(
    limiter: Limiter, clock: ManualClock
) -> None:
    """If the provider counts a call within 50 ms, five seconds of latency cost 0.5 %."""
    fleet = fleet_of(limiter, clock, "60/10s", latency_seconds=5, arrival_bound_seconds=0.05)
    fleet.run(100)
    assert fleet.granted_between(10, 100) >= 0.995 * 60 * 9
    for span in fleet.spans:
        span.completed = min(span.completed, span.granted + 0.05)
    assert most_in_a_window(fleet.spans, 10) <= 60


def test_workers_that_wake_late_lose_no_tokens(limiter: Limiter, clock: ManualClock) -> None:
    """Up to 5 ms late at 20/s: the bucket gathers what came meanwhile."""
    fleet = fleet_of(limiter, clock, "20/s", late_seconds=0.005)
    fleet.run(40)
    assert fleet.granted_between(1, 40) >= 0.99 * 20 * 39
    assert most_in_a_window(fleet.spans, 1) <= 20


def test_the_first_burst_does_not_come_back_every_period(
    limiter: Limiter, clock: ManualClock
) -> None:
    """Under backlog the pace becomes even, so a slot for urgent work is never far off."""
    fleet = fleet_of(limiter, clock, "60/10s")
    fleet.run(60)
    pace = 1 / fleet.spec.windows[0].per_second
    assert fleet.longest_quiet(since=40) <= 3 * pace


def test_the_factor_scales_the_pace(limiter: Limiter, clock: ManualClock) -> None:
    """At a factor of 0.5 half the limit is used once the burst is spent."""
    fleet = fleet_of(limiter, clock, "60/10s")
    limiter.set_factor(fleet.provider, 0.5)
    fleet.run(60)
    assert fleet.granted_between(10, 60) == pytest.approx(0.5 * 60 * 5, rel=0.02)
