"""A full sync brings a district's roster into SQL, and again changes nothing."""

import pytest

from sisgate.domain.records import ROSTER
from testbed.stack import Stack

KINDS = ["powerschool", "slow_powerschool", "infinite_campus", "skyward", "oneroster"]


def expected_count(kind: str, resource: str, sizes: dict[str, int]) -> int:
    """Return how many records the provider shows of a resource."""
    if resource == "demographics":
        return sizes["students"]
    if kind == "powerschool" and resource == "courses":
        # PowerSchool tells courses by school, and so not those of no school: 72 a level.
        return 72 * sizes["schools"]
    # OneRoster also enrolls the teacher of each class.
    teachers = sizes["classes"] if resource == "enrollments" and kind != "powerschool" else 0
    return sizes[resource] + teachers


@pytest.mark.parametrize("name", KINDS)
def test_a_roster_comes_whole_and_a_second_sync_changes_nothing(stack: Stack, name: str) -> None:
    """Every record of the provider is stored once; the second time there is nothing to do."""
    district = stack.fresh(name)
    first = {resource: stack.gateway.sync(name, resource, mode="full") for resource in ROSTER}
    sizes = district.control("GET", "")["sizes"]
    for resource, job in first.items():
        status = job.wait(60)
        assert status.state == "done", (resource, status.note)
        assert status.complete, (resource, status.note)
        stored = len(stack.ids(name, resource))
        assert status.inserted == stored
        if resource not in {"orgs", "terms"}:
            assert stored == expected_count(district.kind, resource, sizes), resource
    cursors = {resource: stack.cursor(name, resource) for resource in ROSTER}
    second = {resource: stack.gateway.sync(name, resource, mode="full") for resource in ROSTER}
    for resource, job in second.items():
        status = job.wait(60)
        assert (status.inserted, status.updated, status.deleted) == (0, 0, 0), resource
        assert stack.changes(name, resource, since=cursors[resource]) == []


@pytest.mark.parametrize("name", ["powerschool", "infinite_campus"])
def test_the_feed_has_exactly_what_changed(stack: Stack, name: str) -> None:
    """Inserts, updates and deletes at the provider are the changes, and no others."""
    stack.fresh(name)
    assert stack.sync(name, "students", mode="full").state == "done"
    cursor = stack.cursor(name, "students")
    churned = stack.sandbox.churn(name, resource="students", insert=3, update=4, delete=2)
    status = stack.sync(name, "students", mode="full")
    assert (status.state, status.inserted, status.updated, status.deleted) == ("done", 3, 4, 2)
    expected = [
        *(("insert", str(i)) for i in churned["inserted"]),
        *(("update", str(i)) for i in churned["updated"]),
        *(("delete", str(i)) for i in churned["deleted"]),
    ]
    assert sorted(stack.changes(name, "students", since=cursor)) == sorted(expected)
    assert not stack.ids(name, "students") & {str(i) for i in churned["deleted"]}
