"""Latencies are kept in buckets: sketches can be added, and a quantile is off by a known share."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.latencies import LONGEST_MS, RELATIVE_ERROR, SHORTEST_MS, LatencySketch

LATENCIES = st.lists(st.floats(SHORTEST_MS, LONGEST_MS), min_size=1, max_size=200)
SHARES = st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0])


@given(LATENCIES, SHARES)
def test_a_quantile_is_off_by_the_relative_error_at_most(
    latencies: list[float], share: float
) -> None:
    """Against the nearest rank in the sorted latencies."""
    exact = sorted(latencies)[max(1, math.ceil(share * len(latencies))) - 1]
    found = LatencySketch(latencies).quantile(share)
    assert found is not None
    assert abs(found - exact) <= exact * (RELATIVE_ERROR + 1e-9)


@given(LATENCIES, LATENCIES, LATENCIES)
def test_sketches_add_up_in_any_order(a: list[float], b: list[float], c: list[float]) -> None:
    """So rollups of minutes, hours and days tell the same."""
    whole, left = LatencySketch(a + b + c), LatencySketch(c)
    for part in (a, b):
        left.merge(LatencySketch(part))
    assert left == whole
    assert left.count == len(a) + len(b) + len(c)
    assert left.sum_ms == pytest.approx(sum(a + b + c))


@given(st.lists(st.floats(-10, LONGEST_MS * 2), max_size=200))
def test_a_sketch_is_the_same_after_the_ledger(latencies: list[float]) -> None:
    """Encoded and decoded."""
    sketch = LatencySketch(latencies)
    again = LatencySketch.decode(sketch.encode())
    assert (again, again.sum_ms) == (sketch, sketch.sum_ms)


@given(LATENCIES)
def test_counts_up_to_powers_of_two_are_exact(latencies: list[float]) -> None:
    """They are the bounds of the histograms in the metrics."""
    bounds = [2.0**power for power in range(-4, 31, 2)]
    expected = [sum(latency <= bound for latency in latencies) for bound in bounds]
    assert LatencySketch(latencies).up_to(*bounds) == expected


def test_a_sketch_of_another_version_is_refused() -> None:
    """Rather than read as something else."""
    with pytest.raises(ValueError, match="version 9"):
        LatencySketch.decode(b"\x09" + bytes(8))


def test_nothing_has_no_quantile() -> None:
    """None, and not 0."""
    assert LatencySketch().quantile(0.5) is None
