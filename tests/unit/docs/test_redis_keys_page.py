"""docs/reference/redis-keys.md lists the keys of the code, each once and with its type."""

import re
from pathlib import Path

import pytest

from sisgate.redis.keys import FAMILIES, LIMIT_STATE, RUNNING_CALLS, TOKEN, WORK_CHANNEL
from testbed.redis_keys import covers, pattern

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "redis-keys.md").read_text("utf-8")
ROWS = re.findall(
    r"^\| `(sisgate:1:[^`]+)` \| ([\w ]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE
)
TYPES = {"sorted set": "zset"}


def test_the_page_has_the_keys_of_the_code() -> None:
    """In the same order, so that both are read side by side."""
    listed = [(key, TYPES.get(kind, kind)) for key, kind, *_ in ROWS]
    assert listed == [(pattern(family), family.type) for family in FAMILIES]


def test_the_page_has_the_channels() -> None:
    """They are no keys, and stand beside them."""
    assert WORK_CHANNEL in PAGE


def test_who_writes_a_key_is_there() -> None:
    """Files move."""
    named = {name for *_, writers in ROWS for name in re.findall(r"`([^`]+)`", writers)}
    assert named
    assert [
        name for name in named if not any((ROOT / top / name).exists() for top in ("", "sisgate"))
    ] == []


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
    assert covers(LIMIT_STATE, key) is is_covered


def test_names_may_have_any_character() -> None:
    """URLs of endpoints stand in keys."""
    key = RUNNING_CALLS(provider="lincoln", endpoint="https://sis.test:1/a?b=[c]")
    assert covers(RUNNING_CALLS, key)
    assert not covers(TOKEN, key)
