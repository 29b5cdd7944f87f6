"""The states of a breaker are pybreaker's."""

import pybreaker

from sisgate.breakers.spec import State


def test_the_names_are_those_of_pybreaker() -> None:
    """Listeners, metrics and screens show what pybreaker's users know."""
    assert list(State) == [pybreaker.STATE_CLOSED, pybreaker.STATE_OPEN, pybreaker.STATE_HALF_OPEN]
