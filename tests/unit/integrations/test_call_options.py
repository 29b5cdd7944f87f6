"""What callers may ask for by header."""

from typing import Any

import pytest

from sisgate.errors import AccessDenied, UsageError
from sisgate.integrations.call_options import CallOptions

OPTIONS = CallOptions(
    priority="normal", highest_priority="high", timeout=5, longest_timeout=20, longest_max_age=60
)


def asked(*, trusted: bool = True, **headers: str) -> CallOptions:
    """Return what these headers ask for."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return OPTIONS.asked(named, is_trusted=trusted)


def test_headers_change_the_options_within_the_bounds() -> None:
    """Each of them."""
    options = asked(
        x_sis_priority="High", x_sis_timeout="0.5", x_sis_max_age="60",
        x_sis_on_unavailable="stale", x_sis_purpose="report 7", x_sis_transform="roster",
    )  # fmt: skip
    assert options == CallOptions(
        priority="high", highest_priority="high", timeout=0.5, longest_timeout=20, max_age=60,
        longest_max_age=60, on_unavailable="stale", purpose="report 7", transform="roster",
    )  # fmt: skip
    assert asked(accept="*/*") == OPTIONS


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("priority", "urgent"), ("priority", "9"), ("timeout", "21"), ("timeout", "-1"),
        ("timeout", "inf"), ("timeout", "nan"), ("timeout", "1e3"), ("timeout", ""),
        ("max_age", "61"), ("purpose", ""), ("purpose", "x" * 201), ("purpose", "a\nb"),
        ("no_such", "1"),
    ],
)  # fmt: skip
def test_what_is_beyond_the_bounds_is_refused(header: str, text: str) -> None:
    """Not cut: the caller would wait for something else than it gets."""
    with pytest.raises(UsageError):
        asked(trusted=True, **{f"x_sis_{header}": text})


def test_strangers_may_not_say_how_a_call_is_made() -> None:
    """Not even within the bounds."""
    with pytest.raises(AccessDenied, match="x-sis-priority"):
        asked(trusted=False, x_sis_priority="low")


def test_anyone_may_wait_for_less() -> None:
    """By RFC 7240, and never for longer."""
    assert asked(trusted=False, prefer="respond-async").timeout == 0
    assert asked(trusted=False, prefer="respond-async, wait=2").timeout == 2
    assert asked(trusted=False, prefer="wait=900").timeout == 5
    assert asked(trusted=False, prefer="return=minimal").timeout == 5


def test_impossible_options_end_the_start() -> None:
    """The app's own mistakes."""
    impossible: list[dict[str, Any]] = [
        {"timeout": 90}, {"keep": -1}, {"priority": "x"}, {"on_unavailable": "x"}
    ]  # fmt: skip
    for words in impossible:
        with pytest.raises(UsageError):
            CallOptions(**words)
