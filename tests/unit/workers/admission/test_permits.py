"""A permit in a worker's hand grows old."""

import pytest

from workers.admission.permits import Permit

GRANTED = 1000.0


@pytest.mark.parametrize(
    ("age", "bound", "fresh"),
    [
        (1.9, None, True),
        (2.1, None, False),
        (1.9, 30.0, True),
        (2.1, 30.0, False),
        (0.2, 0.5, True),
        (0.3, 0.5, False),
    ],
)
def test_a_permit_is_used_within_its_time(age: float, bound: float | None, fresh: bool) -> None:
    """Two seconds, or half of the time within which the provider is promised to see the call."""
    permit = Permit("1-1", 1.0, GRANTED)
    assert permit.is_fresh(GRANTED + age, bound) is fresh
