"""docs/reference/redis-keys.md lists the keys as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sisgate.redis.keys import FAMILIES, LIMIT_STATE, RUNNING_CALLS, TOKEN, WORK_CHANNEL

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "redis-keys.md").read_text("utf-8")


def test_who_writes_a_key_is_there() -> None:
    """Files move."""
    named = {name for family in FAMILIES for name in re.findall(r"`([^`]+)`", family.writer)}
    assert named
    assert [name for name in named if not _exists(name)] == []


def _exists(name: str) -> bool:
    return (ROOT / name).exists() or (ROOT / "sisgate" / name).exists()


def test_the_page_has_the_channels() -> None:
    """They are no keys, and stand beside them."""
    assert WORK_CHANNEL in PAGE


@pytest.mark.parametrize(
    ("key", "is_covered"),
    [
        ("sisgate:1:limit:{lincoln}:state", True),
        ("sisgate:1:limit:{lincoln}:states", False),
        ("sisgate:1:limit:lincoln:state", False),
    ],
)
def test_a_family_covers_its_own_keys(key: str, *, is_covered: bool) -> None:
    """Whatever stands at the place of a name; nothing else."""
    assert LIMIT_STATE.covers(key) is is_covered


def test_names_may_have_any_character() -> None:
    """URLs of endpoints stand in keys."""
    key = RUNNING_CALLS(provider="lincoln", endpoint="https://sis.test:1/a?b=[c]")
    assert RUNNING_CALLS.covers(key)
    assert not TOKEN.covers(key)
