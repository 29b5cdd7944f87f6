"""The house rules find what they are meant to find, and nothing else."""

from __future__ import annotations

import pytest

from tests.lint.house_rules import FUNCTION_LINES, check


@pytest.mark.parametrize(
    "source", ["import time\ntime.monotonic()\n", "from time import monotonic\n"]
)
def test_monotonic_clock_outside_the_clock_module_is_an_error(source: str) -> None:
    """Both ways to get at the clock are found."""
    errors, _ = check("sisgate/routing/health.py", source)
    assert len(errors) == 1


@pytest.mark.parametrize("path", ["sisgate/clock.py", "sisgate/sandbox/faults.py"])
def test_clock_and_sandbox_may_read_the_monotonic_clock(path: str) -> None:
    """They are the two places that are allowed to."""
    assert check(path, "import time\ntime.monotonic()\n") == ([], [])


def test_long_function_is_a_hint_and_not_an_error() -> None:
    """Its docstring does not count."""
    statements = "    x = 1\n" * (FUNCTION_LINES + 1)
    errors, hints = check("workers/app.py", f'def f():\n    """Doc."""\n{statements}')
    assert errors == []
    assert len(hints) == 1
    assert "f has 41 lines" in hints[0]
