"""Filters of jobs, as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from sisgate.domain.job_filter import QUALIFIERS, JobFilter
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind, JobState
from sisgate.errors import UsageError

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def test_each_qualifier_sets_its_condition() -> None:
    """A state may be repeated; a bare word is the beginning of an id."""
    text = (
        "state:failed state:expired provider:p resource:r app:a kind:sync priority:high "
        "error:e since:2h until:2026-11-29T11:00 is:dead 3F8a"
    )
    assert JobFilter.parse(text, NOW) == JobFilter(
        states=(JobState.FAILED, JobState.EXPIRED), provider="p", resource="r", app="a",
        kind=JobKind.SYNC, priority=Priority.HIGH, error="e", since=NOW - timedelta(hours=2),
        until=NOW - timedelta(hours=1), dead=True, beginning="3f8a",
    )  # fmt: skip
    assert all(f"{name}:" in text for name in QUALIFIERS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stat:failed", "'stat:failed'"), ("hello", "'hello'"), ("state:", "state: takes"),
        ("state:gone", "gone"), ("since:yesterday", "since: takes"),
        ("is:odd", "the value of is: is one of dead"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_named(text: str, told: str) -> None:
    """So that it can be put right."""
    with pytest.raises(UsageError, match=told):
        JobFilter.parse(text, NOW)
