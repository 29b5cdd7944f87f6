"""An incremental sync asks only for what changed, and trusts no filter that it cannot check."""

import pytest

from testbed.stack import Stack

NAME = "infinite_campus"


def synced(stack: Stack, **knobs: object) -> int:
    """Return the cursor after a first full sync of the students."""
    stack.fresh(NAME, **knobs)
    assert stack.sync(NAME, "students", mode="full").state == "done"
    return stack.cursor(NAME, "students")


def test_a_filter_that_works_brings_only_the_changes(stack: Stack) -> None:
    """Few rows come, and the feed has exactly what changed; marked deletions are deletions."""
    cursor = synced(stack)
    churned = stack.sandbox.churn(
        NAME, resource="students", insert=2, update=3, delete=1, delete_style="tobedeleted"
    )
    status = stack.sync(NAME, "students", mode="incremental")
    assert (status.state, status.mode) == ("done", "incremental")
    assert (status.inserted, status.updated, status.deleted) == (2, 3, 1)
    assert status.calls_made == 1
    changed = {str(i) for key in ("inserted", "updated", "deleted") for i in churned[key]}
    assert {row_id for _, row_id in stack.changes(NAME, "students", since=cursor)} == changed


@pytest.mark.parametrize("mode", ["ignore", "refuse", "empty"])
def test_a_filter_that_does_not_work_is_seen_and_the_list_is_read_in_full(
    sqlite_stack: Stack, mode: str
) -> None:
    """Ignored, refused or answered with nothing: the changes come all the same, once."""
    cursor = synced(sqlite_stack, filter_mode=mode)
    sqlite_stack.sandbox.churn(NAME, resource="students", insert=2, update=3, delete=1)
    status = sqlite_stack.sync(NAME, "students", mode="incremental")
    assert (status.state, status.mode) == ("done", "full")
    assert status.note is not None
    assert (status.inserted, status.updated, status.deleted) == (2, 3, 1)
    assert len(sqlite_stack.changes(NAME, "students", since=cursor)) == 6
    again = sqlite_stack.sync(NAME, "students", mode="auto")
    assert (again.mode, again.inserted, again.updated, again.deleted) == ("full", 0, 0, 0)


def test_nothing_new_is_no_change_and_no_deletion(stack: Stack) -> None:
    """The newest known row comes again, which proves the filter; nothing is written."""
    cursor = synced(stack)
    status = stack.sync(NAME, "students", mode="incremental")
    assert (status.state, status.mode) == ("done", "incremental")
    assert (status.inserted, status.updated, status.deleted) == (0, 0, 0)
    assert stack.changes(NAME, "students", since=cursor) == []
