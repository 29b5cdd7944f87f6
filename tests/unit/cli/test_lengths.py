"""Lengths of time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sisgate.cli.lengths import parse_length
from sisgate.errors import UsageError


@pytest.mark.parametrize("text", ["", "d", "-1d", "1.5h", "2w", "²d", "99999d", "9" * 5000 + "s"])
def test_what_is_no_length_or_leads_out_of_the_calendar_is_refused(text: str) -> None:
    """With a usage error, so that no command ends with a traceback."""
    with pytest.raises(UsageError):
        parse_length(text)


def test_the_longest_length_can_be_added_to_a_time_and_taken_from_it() -> None:
    """A hundred years are good for a token, a pause and a search."""
    now = datetime(2026, 9, 1, tzinfo=UTC)
    assert now - parse_length("36500d") < now < now + parse_length("36500d")
    assert parse_length("90s") == timedelta(seconds=90)
