"""A sync that failed far into a list without a length goes on there when it is tried again."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from sisgate.gateway import JobStatus
from testbed.provider import Answered, Asked, Provider, page_of, users
from testbed.worker import Worker
from tests.integration.sync.conftest import MakeWorker

CAP = 100
BROKEN_FROM = 700


class List:
    """A list of one server without totals, a part of which may be broken."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self.rows = list(rows)
        self.is_broken = False

    def __call__(self, asked: Asked) -> Answered:
        if not asked.path.endswith("students"):
            return Answered({"orgs": []})
        if self.is_broken and asked.number("offset", 0) >= BROKEN_FROM - 1:
            return Answered({}, 500)
        return Answered({"users": page_of(self.rows, asked, cap=CAP)})


def failed(worker: Worker, provider: Provider, served: List) -> JobStatus:
    """Sync until the list breaks."""
    provider.answer = served
    served.is_broken = True
    status = worker.sync(mode="full")
    assert status.state == "failed"
    served.is_broken = False
    provider.asked.clear()
    return status


def retried(worker: Worker, job_id: str) -> JobStatus:
    """Try the job again."""
    (status,) = worker.run([worker.gateway.jobs.retry(job_id).id])
    return status


def offsets(provider: Provider) -> list[int]:
    """Return which rows of the list were asked for."""
    return [a.number("offset", 0) for a in provider.asked if a.path.endswith("students")]


@pytest.fixture
def served() -> List:
    """1,150 students."""
    return List(users(1150, dateLastModified="2026-08-01T08:00:00.000Z"))


def test_the_first_pages_are_not_read_again(
    make_worker: MakeWorker, provider: Provider, served: List
) -> None:
    """The next page overlaps the last one; the list is complete, and says what was taken over."""
    worker = make_worker()
    job = failed(worker, provider, served)
    status = retried(worker, job.id)
    assert (status.state, status.complete, status.deleted) == ("done", True, 0), status.note
    assert min(offsets(provider)) > BROKEN_FROM - CAP
    assert len(worker.ids()) == 1150
    assert job.id in (status.note or "")


def gone(served: List) -> None:
    """A student of a page that was taken over has left."""
    del served.rows[50]


def come(served: List) -> None:
    """A student has come before the seam."""
    served.rows.insert(50, {**served.rows[50], "sourcedId": "00000-new"})


@pytest.mark.parametrize("change", [gone, come])
def test_a_list_that_has_shifted_is_read_again_where_it_has(
    make_worker: MakeWorker, provider: Provider, served: List, change: Callable[[List], None]
) -> None:
    """Nobody behind the seam is missed, and nobody is deleted who is still in the list."""
    worker = make_worker()
    job = failed(worker, provider, served)
    change(served)
    status = retried(worker, job.id)
    assert status.state == "done"
    behind = {row["sourcedId"] for row in served.rows[BROKEN_FROM:]}
    assert behind <= worker.ids()
    status = worker.sync(mode="full")
    assert (status.state, status.complete) == ("done", True)
    assert worker.ids() == {row["sourcedId"] for row in served.rows}


def test_what_changed_meanwhile_in_a_page_that_was_taken_over_comes_with_the_next_sync(
    make_worker: MakeWorker, provider: Provider, served: List
) -> None:
    """Its filter begins when the failed job did."""
    worker = make_worker()
    job = failed(worker, provider, served)
    moment = worker.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    served.rows[10] = {**served.rows[10], "givenName": "Changed", "dateLastModified": moment}
    worker.clock.advance(60)
    served.rows[900] = {**served.rows[900], "dateLastModified": moment}
    retried(worker, job.id)
    served_all, asked_since = provider.answer, []

    def filtered(asked: Asked) -> Answered:
        if "filter" in asked.query:
            asked_since.append(asked.query["filter"])
            since = asked.query["filter"].split("'")[1]
            found = [row for row in served.rows if row["dateLastModified"] >= since]
            return Answered({"users": page_of(found, asked, cap=CAP)})
        return served_all(asked)

    provider.answer = filtered
    status = worker.sync()
    assert asked_since, status.note
    found = worker.gateway.records("lincoln", "students")
    names = {record.sourced_id: record.data["givenName"] for record in found}
    assert names[served.rows[10]["sourcedId"]] == "Changed"


def later(worker: Worker, served: List) -> None:
    """More than an hour has passed."""
    worker.clock.advance(timedelta(hours=2).total_seconds())


def another_full_sync(worker: Worker, served: List) -> None:
    """A full sync has come between."""
    assert worker.sync(mode="full").state == "done"


@pytest.mark.parametrize("between", [later, another_full_sync])
def test_what_cannot_be_proven_is_read_from_the_beginning(
    make_worker: MakeWorker,
    provider: Provider,
    served: List,
    between: Callable[[Worker, List], None],
) -> None:
    """An old read, and one that another has overtaken."""
    worker = make_worker()
    job = failed(worker, provider, served)
    between(worker, served)
    provider.asked.clear()
    status = retried(worker, job.id)
    assert (status.state, status.complete) == ("done", True)
    assert min(offsets(provider)) == 0


def test_records_marked_as_deleted_in_the_first_pages_are_deleted(
    make_worker: MakeWorker, provider: Provider, served: List
) -> None:
    """Their marks ended with the failed job, so those pages are read again."""
    worker = make_worker()
    provider.answer = served
    assert worker.sync(mode="full").state == "done"
    served.rows[20] = {**served.rows[20], "status": "tobedeleted"}
    job = failed(worker, provider, served)
    status = retried(worker, job.id)
    assert (status.state, status.deleted) == ("done", 1), status.note
    assert served.rows[20]["sourcedId"] not in worker.ids()
