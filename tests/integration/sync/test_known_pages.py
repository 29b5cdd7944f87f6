"""A page that comes as it came before is not read again, unless what is stored has changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from sisgate.providers.oneroster import OneRoster
from testbed.provider import Answered, Asked, Provider, page_of, users
from testbed.worker import NAME, Worker
from tests.integration.sync.conftest import MakeWorker

CAP = 20


class List:
    """100 students; pages may be answered by filter."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = users(100, dateLastModified="2026-08-01T08:00:00.000Z")

    def __call__(self, asked: Asked) -> Answered:
        if not asked.path.endswith("students"):
            return Answered({"orgs": []})
        rows = self.rows
        if "filter" in asked.query:
            since = asked.query["filter"].split("'")[1]
            rows = [row for row in rows if row["dateLastModified"] >= since]
        return Answered({"users": page_of(rows, asked, cap=CAP)})


@pytest.fixture
def served(provider: Provider) -> List:
    """The list of this test."""
    provider.answer = served = List()
    return served


@contextmanager
def pages_read() -> Iterator[list[int]]:
    """Collect at which row the pages begin that are read."""
    read: list[int] = []
    original = OneRoster.read_page

    def spy(self: OneRoster, resource: str, listing: Any, position: Any, response: Any) -> Any:
        read.append(position.start)
        return original(self, resource, listing, position, response)

    with patch.object(OneRoster, "read_page", spy):
        yield read


def full(worker: Worker) -> tuple[list[int], tuple[int, int, int]]:
    """Sync in full; return which pages were read and what was inserted, updated and deleted."""
    with pages_read() as read:
        status = worker.sync(mode="full")
    assert (status.state, status.complete, status.rows_seen >= 100) == ("done", True, True), status
    return read, (status.inserted, status.updated, status.deleted)


def last_seen(worker: Worker) -> set[Any]:
    """Return when the live records were last seen."""
    return {record.last_seen for record in worker.gateway.records(NAME, "students")}


def test_a_list_that_is_the_same_is_not_read_again(make_worker: MakeWorker, served: List) -> None:
    """Also not the third time; it is complete, and every record is seen."""
    worker = make_worker()
    read, done = full(worker)
    assert (len(read), done) == (7, (100, 0, 0))
    for _ in range(2):
        worker.clock.advance(3600)
        begun = worker.clock.now()
        assert full(worker) == ([], (0, 0, 0))
        assert min(last_seen(worker)) >= begun


def test_only_the_pages_that_changed_are_read(make_worker: MakeWorker, served: List) -> None:
    """And who is absent is deleted, though most pages were not read."""
    worker = make_worker()
    full(worker)
    served.rows[45]["givenName"] = "New"
    read, done = full(worker)
    assert (read, done) == ([38], (0, 1, 0))
    del served.rows[90]
    read, done = full(worker)
    assert done == (0, 0, 1)
    assert set(read) <= {76, 95, 98}
    assert len(worker.ids()) == 99
    assert full(worker) == ([], (0, 0, 0))


def test_what_was_changed_and_is_as_before_is_stored_as_before(
    make_worker: MakeWorker, served: List
) -> None:
    """The response is that of the last full read, but another sync stored a change since."""
    worker = make_worker()
    full(worker)
    before = dict(served.rows[30])
    changed_at = worker.clock.now() + timedelta(hours=1)
    worker.clock.advance(7200)
    served.rows[30] |= {
        "givenName": "Other", "dateLastModified": changed_at.isoformat().replace("+00:00", "Z"),
    }  # fmt: skip
    assert worker.sync(mode="incremental").updated == 1
    served.rows[30] = before
    read, done = full(worker)
    assert (len(read), done) == (1, (0, 1, 0))
    assert full(worker) == ([], (0, 0, 0))


def test_who_was_deleted_comes_back_with_a_page_that_is_known(
    make_worker: MakeWorker, served: List
) -> None:
    """The page of before the deletion is no page of now."""
    worker = make_worker()
    full(worker)
    gone = served.rows.pop()
    assert full(worker)[1] == (0, 0, 1)
    served.rows.append(gone)
    assert full(worker)[1] == (1, 0, 0)
    assert len(worker.ids()) == 100


def test_pages_with_marked_rows_are_read_each_time(make_worker: MakeWorker, served: List) -> None:
    """The mark is for each sync to note."""
    worker = make_worker()
    full(worker)
    served.rows[5]["status"] = "tobedeleted"
    assert full(worker)[1] == (0, 0, 1)
    read, done = full(worker)
    assert (read, done) == ([0], (0, 0, 0))


def test_an_erased_person_stays_out_and_comes_back_when_that_is_lifted(
    make_worker: MakeWorker, served: List
) -> None:
    """Known pages hold ids, and hide what was left out: both acts forget them."""
    worker = make_worker()
    full(worker)
    person = served.rows[50]["sourcedId"]
    privacy = worker.gateway.privacy
    report = privacy.erase(NAME, person, actor="ann", reason="asked", resource="students")
    assert report.is_clean
    assert person not in worker.ids()
    for _ in range(2):
        full(worker)
        assert person not in worker.ids()
    assert privacy.lift(NAME, person, actor="ann", reason="back", resource="students")
    assert full(worker)[1] == (1, 0, 0)
    assert person in worker.ids()


def test_two_rows_of_one_id_on_distant_pages_stay_merged(
    make_worker: MakeWorker, served: List
) -> None:
    """A page that had one of them alone is read again from then on."""
    worker = make_worker()
    for row, school in ((served.rows[3], "s1"), (served.rows[70], "s2")):
        org = {"sourcedId": school, "type": "org"}
        row["roles"] = [{"roleType": "primary", "role": "student", "org": org}]
    full(worker)
    moved = dict(served.rows[3], roles=served.rows[70]["roles"])
    served.rows.insert(71, moved)
    for _ in range(3):
        full(worker)
        (found,) = (
            r
            for r in worker.gateway.records(NAME, "students")
            if r.sourced_id == moved["sourcedId"]
        )
        assert [role["org"]["sourcedId"] for role in found.data["roles"]] == ["s1", "s2"]
