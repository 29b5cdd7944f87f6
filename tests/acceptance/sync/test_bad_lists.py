"""No record is deleted on the word of a list that is incomplete or hard to believe."""

import pytest

from testbed.stack import Stack

NAME = "oneroster"
"""Its pages have 40 rows, so 130 students are four pages."""


def synced(stack: Stack, resource: str = "students") -> set[str]:
    """Return the ids after a first full sync."""
    stack.fresh(NAME)
    assert stack.sync(NAME, resource, mode="full").complete
    return stack.ids(NAME, resource)


@pytest.mark.parametrize("list_mode", ["empty", "shrink", "loop", "duplicate"])
@pytest.mark.parametrize("totals", [True, False])
def test_a_bad_list_deletes_nothing(sqlite_stack: Stack, list_mode: str, totals: bool) -> None:
    """Empty, halved, looping or repeating: what was stored stays as it was."""
    before = synced(sqlite_stack)
    sqlite_stack.sandbox.knobs(NAME, list_mode=list_mode, send_total=totals, send_link=totals)
    status = sqlite_stack.sync(NAME, "students", mode="full")
    assert status.is_final
    assert status.deleted == 0
    assert sqlite_stack.ids(NAME, "students") == before


@pytest.mark.parametrize("resource", ["orgs", "terms"])
@pytest.mark.parametrize("list_mode", ["empty", "shrink"])
def test_a_small_list_is_not_emptied_either(
    sqlite_stack: Stack, resource: str, list_mode: str
) -> None:
    """A handful of records are as dear as thousands."""
    before = synced(sqlite_stack, resource)
    sqlite_stack.sandbox.knobs(NAME, list_mode=list_mode)
    status = sqlite_stack.sync(NAME, resource, mode="full")
    assert (status.state, status.deleted) == ("held", 0)
    assert sqlite_stack.ids(NAME, resource) == before


def test_a_suspicious_list_is_held_until_a_person_allows_it(stack: Stack) -> None:
    """The note says how many and what to do; `allow_deletes` does it, and the feed has them."""
    before = synced(stack)
    cursor = stack.cursor(NAME, "students")
    gone = stack.sandbox.churn(NAME, resource="students", delete=60)["deleted"]
    held = stack.sync(NAME, "students", mode="full")
    assert (held.state, held.deleted) == ("held", 0)
    assert "60 of 130" in (held.note or "")
    assert "--allow-deletes" in (held.note or "")
    assert stack.ids(NAME, "students") == before
    allowed = stack.sync(NAME, "students", mode="full", allow_deletes=True)
    assert (allowed.state, allowed.deleted) == ("done", 60)
    assert stack.ids(NAME, "students") == before - set(gone)
    feed = stack.changes(NAME, "students", since=cursor)
    assert sorted(feed) == sorted(("delete", row_id) for row_id in gone)


@pytest.mark.parametrize("kind", ["truncate", "malformed", "reset", "html"])
def test_a_page_that_comes_broken_is_read_again(sqlite_stack: Stack, kind: str) -> None:
    """Cut, malformed, reset or replaced by a proxy's page: read again, nothing deleted."""
    before = synced(sqlite_stack)
    fault = {"kind": kind, "path": "students", "status": 502}
    sqlite_stack.sandbox.knobs(NAME, fail_next=[fault])
    status = sqlite_stack.sync(NAME, "students", mode="full")
    assert (status.state, status.complete, status.deleted) == ("done", True, 0)
    assert status.calls_made >= 5
    assert sqlite_stack.ids(NAME, "students") == before


@pytest.mark.parametrize("name", ["oneroster", "powerschool"])
@pytest.mark.parametrize("totals", [True, False])
def test_a_list_that_shifts_while_it_is_read_loses_nothing(
    sqlite_stack: Stack, name: str, totals: bool
) -> None:
    """After every page one row goes and one comes: those that stayed are all there."""
    sqlite_stack.fresh(name, send_total=totals, send_link=totals)
    assert sqlite_stack.sync(name, "students", mode="full").complete
    cursor = sqlite_stack.cursor(name, "students")
    sqlite_stack.sandbox.knobs(name, churn_every=1, page_cap=20)
    sqlite_stack.sync(name, "students", mode="full")
    deleted = {
        i for op, i in sqlite_stack.changes(name, "students", since=cursor) if op == "delete"
    }
    sqlite_stack.sandbox.knobs(name, churn_every=0)
    assert sqlite_stack.sync(name, "students", mode="full").complete
    assert not deleted & sqlite_stack.ids(name, "students"), "a record was deleted that is there"
    assert len(sqlite_stack.ids(name, "students")) == 130
