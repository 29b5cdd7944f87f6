"""What a limit means that comes by Celery's remote control, by Flower or in a message."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.rates import Rate
from sisgate.errors import AccessDenied, UsageError
from sisgate.settings import ProviderConfig
from workers.admission.rate_limits import windows_asked


def provider(*limits: str) -> ProviderConfig:
    """Return a provider with these limits."""
    endpoints = [{"url": "https://lincoln.test"}]
    limit = list(limits) if limits else "off"
    return ProviderConfig.model_validate(
        {
            "name": "lincoln",
            "kind": "oneroster",
            "auth": "none",
            "limit": limit,
            "endpoints": endpoints,
        }
    )


def asked(limit: object, *configured: str, may_raise: bool = False) -> list[str] | None:
    """Return the windows that are set, as text."""
    windows = windows_asked(limit, provider(*configured), may_raise=may_raise)
    return None if windows is None else [str(rate) for rate in windows]


@pytest.mark.parametrize(
    ("limit", "windows"),
    [
        ("500/h", ["500/h"]),
        ("500", ["500/h"]),
        (500, ["500/h"]),
        (500.0, ["500/h"]),
        ("1000/h", ["1000/h"]),
        ("10/m", ["10/m"]),
        ("20000/d", ["20000/d", "1000/h"]),
        (0, None),
        ("0", None),
        ("0/h", None),
        (None, None),
    ],
    ids=repr,
)
def test_a_bare_number_is_in_the_providers_own_period(
    limit: object, windows: list[str] | None
) -> None:
    """Flower sends 500 for 500; 0 goes back to the configured limit."""
    assert asked(limit, "1000/h") == windows


def test_the_configured_windows_stay_in_force_beside_a_lower_limit() -> None:
    """To brake the hour does not let go of the second."""
    assert asked(500, "1000/h", "20/s") == ["500/h", "20/s"]
    assert asked("10/h", "1000/h", "20/s") == ["10/h"]


@pytest.mark.parametrize(
    "limit",
    [
        "", "fast", "-5", -6, "1.5", 2.5, "NaN", "5/0s", True, [], {},
        pytest.param(10**400, id="huge"), pytest.param("9" * 400, id="long"),
        pytest.param("9" * 5000, id="longer"), pytest.param(f"{10**400}/h", id="huge rate"),
        pytest.param(f"1/{'9' * 400}s", id="endless"),
    ],
)  # fmt: skip
def test_what_is_no_limit_is_a_usage_error(limit: object) -> None:
    """It says how a limit is written."""
    with pytest.raises(UsageError, match="500/h"):
        asked(limit, "1000/h")
    with pytest.raises(UsageError, match="off in the configuration"):
        asked(limit)


@pytest.mark.parametrize("limit", ["1001/h", 1001, "1/s", "25000/d"])
def test_more_than_configured_is_denied_without_the_right(limit: object) -> None:
    """With it the limit is set, and the other windows stay."""
    with pytest.raises(AccessDenied, match="sisgate limits set lincoln"):
        asked(limit, "1000/h")
    windows = asked(limit, "1000/h", "20/s", may_raise=True)
    assert windows is not None
    assert windows[1:] == ([] if limit == "1/s" else ["20/s"])


RATES = st.builds(
    Rate, st.integers(1, 5000), st.sampled_from([1.0, 10.0, 60.0, 900.0, 3600.0, 86400.0])
)


@given(limit=RATES, configured=st.lists(RATES, min_size=1, max_size=3))
def test_no_limit_of_the_broker_lets_more_through(limit: Rate, configured: list[Rate]) -> None:
    """In no configured window fit more calls than without it."""
    config = provider(*map(str, configured))
    try:
        windows = windows_asked(str(limit), config, may_raise=False)
    except AccessDenied:
        return
    assert windows is not None
    for window in config.windows:
        most = min(r.calls * math.ceil(window.period_seconds / r.period_seconds) for r in windows)
        assert most <= window.calls
