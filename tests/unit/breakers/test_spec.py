"""What a breaker can be told to do."""

from typing import Any

import pytest

from sisgate.breakers.spec import BreakerSpec


@pytest.mark.parametrize(
    "wrong",
    [
        {"fail_max": 0},
        {"minimum_calls": 0},
        {"failure_rate": 0.0},
        {"failure_rate": 1.1},
        {"slow_rate": 0.0},
        {"jitter": 1.0},
        {"window_seconds": 0},
        {"probe_lease_seconds": 0},
        {"open_seconds": 60, "open_cap_seconds": 30},
    ],
)
def test_a_specification_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """Before it opens or closes anything."""
    with pytest.raises(ValueError, match=r"at least|share|positive"):
        BreakerSpec(**wrong)
