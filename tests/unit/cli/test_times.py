"""Times and lengths of time as people write them: one rule for all commands."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.cli.params import at, future, length
from sisgate.errors import UsageError
from sisgate.settings.fleet import ScheduleConfig

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "d", "-1d", "1.5h", "2w", "²d", "99999d", "9" * 5000 + "s", "P", "PT", "P1Y"]
)
def test_what_is_no_length_or_leads_out_of_the_calendar_is_refused(text: str) -> None:
    """With a usage error, so that no command ends with a traceback."""
    with pytest.raises(UsageError):
        length(text)
    with pytest.raises(UsageError):
        at(text, NOW, 1)


def test_the_longest_length_can_be_added_to_a_time_and_taken_from_it() -> None:
    """A hundred years are good for a token, a pause and a search."""
    assert at("36500d", NOW, -1) < NOW < at("36500d", NOW, 1)
    assert length("90s") == timedelta(seconds=90)


@pytest.mark.parametrize("text", ["15m", "PT15M", "900s"])
def test_settings_and_commands_read_the_same_durations(text: str) -> None:
    """A length copied from the configuration can be typed after a command, and back."""
    schedule = ScheduleConfig(provider="powerschool", every=text)
    assert length(text) == schedule.every == timedelta(minutes=15)
    assert at(text, NOW, -1) == NOW - timedelta(minutes=15)


@given(st.integers(min_value=0, max_value=10**10))
def test_a_time_without_a_zone_is_in_the_zone_of_this_machine(seconds: int) -> None:
    """As every time is shown; what a screen shows can be typed back."""
    moment = (NOW + timedelta(seconds=seconds)).astimezone()
    assert at(moment.replace(tzinfo=None).isoformat(), NOW, 1) == moment


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    """Never a traceback."""
    with suppress(UsageError):
        assert at(text, NOW, -1).tzinfo is not None


def test_an_end_that_has_passed_is_refused() -> None:
    """A pause until yesterday is a mistake."""
    with pytest.raises(UsageError, match="has already passed"):
        future("2020-01-01")
