"""Polling takes a bounded share of a core, however long a look takes."""

import pytest

from sisgate.clock import poll_until
from testbed.clock import ManualClock


@pytest.mark.parametrize(
    ("look_seconds", "looks"),
    [
        pytest.param(0.0, 200, id="quick looks: every 50 ms"),
        pytest.param(0.02, 50, id="a tenth of the time"),
        pytest.param(0.5, 10, id="no longer than half a second apart"),
    ],
)
def test_a_long_look_is_taken_less_often(look_seconds: float, looks: int) -> None:
    """The time is up after ten seconds all the same."""
    clock, seen = ManualClock(), 0

    def never() -> bool:
        nonlocal seen
        seen += 1
        clock.advance(look_seconds)
        return False

    assert not poll_until(never, clock=clock, timeout_seconds=10.0)
    assert seen == pytest.approx(looks, abs=2)
