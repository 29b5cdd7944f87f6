"""What is forecast is what the limiter then does."""

import pytest

from sisgate.admission.forecast import Outlook, calls_ahead, nth_grant
from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import LimitSpec
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from testbed.clock import ManualClock
from tests.integration.admission.fleet import Fleet


@pytest.mark.parametrize("used_before", [0, 7, 30, 55])
@pytest.mark.parametrize("latency", [0.0, 0.4, 3.0])
@pytest.mark.parametrize("rates", [("100/h",), ("60/10s",), ("100/h", "5/s")])
def test_a_backlog_is_granted_when_it_was_forecast(
    limiter: Limiter, clock: ManualClock, rates: tuple[str, ...], latency: float, used_before: int
) -> None:
    """The n-th grant comes within 10 % of its forecast, whatever has been spent before."""
    spec = LimitSpec(tuple(Rate.parse(rate) for rate in rates))
    fleet = Fleet(limiter, clock, spec, latency_seconds=latency, late_seconds=0.0)
    assert limiter.rebuild(fleet.provider, spec, [])
    fleet.priority = Priority.URGENT
    _use(limiter, clock, spec, used_before, latency)
    now = clock.monotonic()
    outlook = _outlook(limiter, fleet.provider, spec, latency)

    forecasts = {n: nth_grant(outlook, n) for n in (1, 10, 60, 150)}
    fleet.run(max(forecasts.values()) * 1.2 + 10)

    for n, forecast in forecasts.items():
        actual = fleet.spans[n - 1].granted - now
        assert actual == pytest.approx(forecast, rel=0.1, abs=1.0)


def test_a_held_provider_is_forecast_to_start_when_it_is_let_go() -> None:
    """Blocks and pauses come first, then everything else."""
    outlook = Outlook((Rate(10, 1.0),), (), tokens=10, burst=10, pace=10.0, held_seconds=30.0)
    assert nth_grant(outlook, 1) == 30.0


def test_without_limits_everything_is_granted_at_once() -> None:
    """A provider whose limit is off has nothing to wait for."""
    assert nth_grant(Outlook((), (), 1.0, 1, 1.0), 100_000) == 0.0


def test_jobs_of_the_same_priority_take_turns() -> None:
    """A huge job of the same priority counts no more than mine; of a higher one, in full."""
    assert calls_ahead(1, higher=[], equal=[100_000]) == 1
    assert calls_ahead(50, higher=[200], equal=[100_000, 20]) == 270


def _use(limiter: Limiter, clock: ManualClock, spec: LimitSpec, calls: int, latency: float) -> None:
    """Make calls as fast as the limiter grants them, one after the other."""
    while calls:
        grant = limiter.take("p", spec, Priority.URGENT)
        clock.advance(latency if grant else grant.wait_seconds)
        for permit in grant.permits:
            limiter.finish("p", permit)
            calls -= 1


def _outlook(limiter: Limiter, provider: str, spec: LimitSpec, latency: float) -> Outlook:
    state = limiter.state(provider, spec)
    rates = [window.rate for window in state.windows]
    return Outlook(
        windows=rates,
        ended_at=limiter.ended_at(provider, latency),
        tokens=state.tokens,
        burst=state.burst,
        pace=min(rate.per_second for rate in rates) * state.factor,
        latency_seconds=latency,
    )
