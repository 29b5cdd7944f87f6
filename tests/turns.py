"""Which tests one worker of pytest-xdist runs, and in which order."""

from pathlib import Path

import pytest
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]  # it has no types

TESTS = Path(__file__).parent
SHARE_NOTHING = {
    "test_clocks", "test_following", "test_heartbeats", "test_keys", "test_lost_parts",
    "test_survival", "test_troubled_up", "test_up",
}  # fmt: skip
"""Files of long tests that start all they need: any worker may take one of them."""

LONGEST_FIRST = ("faults", "acceptance", "browser", "integration", "contract", "unit")


class Scheduler(LoadGroupScheduling):  # type: ignore[misc]  # see its import
    """Hands out the tests of a stack together, long ones one by one, and all others by file."""

    def _split_scope(self, nodeid: str) -> str:
        group: str = super()._split_scope(nodeid)
        file = nodeid.partition("::")[0]
        return file if group == nodeid and Path(file).stem not in SHARE_NOTHING else group


def turn(item: pytest.Item) -> int:
    """Return what to sort by: the stacks that files share come first, then folder by folder."""
    if stack_of(item):
        return -1
    folders = item.path.relative_to(TESTS).parts[:1] if item.path.is_relative_to(TESTS) else ()
    turns = [number for number, folder in enumerate(LONGEST_FIRST) if folder in folders]
    return turns[0] if turns else len(LONGEST_FIRST)


def stack_of(item: pytest.Item) -> str:
    """Return which stack a test shares with other files, '' for none.

    The worker that runs them starts that stack, and ends it when it leaves their folder.
    """
    if item.path.is_relative_to(TESTS / "browser"):
        return "browser"
    if not item.path.is_relative_to(TESTS / "acceptance") or not isinstance(item, pytest.Function):
        return ""
    wanted = set(item.fixturenames)
    if "postgres_stack" in wanted:
        return "postgresql stack"
    if "sqlite_stack" in wanted:
        return "sqlite stack"
    if "stack" in wanted and not hasattr(item.module, "stack"):  # one of its own is not shared
        return f"{item.callspec.params['stack']} stack"
    return "up" if "running" in wanted else ""
