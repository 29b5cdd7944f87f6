"""Nothing is deleted, or called complete, without proof: servers as strange as real ones."""

from datetime import timedelta
from typing import Any

import pytest

from sisgate.errors import UsageError
from testbed.provider import Answer, Answered, Asked, Provider, page_of, users
from testbed.worker import Worker
from tests.integration.sync.conftest import MakeWorker

STALE = "2026-08-01T08:00:00.000Z"


def listing(rows: list[Any], *, total: bool = True, cap: int = 10_000) -> Answer:
    """Return an honest OneRoster server of one list."""

    def answer(asked: Asked) -> Answered:
        headers = {"X-Total-Count": str(len(rows))} if total else {}
        return Answered({"users": page_of(rows, asked, cap=cap)}, headers=headers)

    return answer


def synced(provider: Provider, worker: Worker, rows: list[Any], **words: Any) -> int:
    """Sync a list from an honest server; return the cursor after it."""
    provider.answer = listing(rows, **words)
    status = worker.sync(mode="full")
    assert (status.state, status.complete) == ("done", True), status.note
    assert worker.ids() == {row["sourcedId"] for row in rows if row["status"] == "active"}
    return worker.gateway.datasets.cursor("lincoln", "students")


@pytest.mark.parametrize("cap", [10_000, 100])
@pytest.mark.parametrize("first", [True, False])
def test_a_total_of_the_page_deletes_nobody(
    make_worker: MakeWorker, provider: Provider, cap: int, first: bool
) -> None:
    """Also where the server clamps the page as well, in the first read and in later ones."""
    worker, rows = make_worker(), users(1150)
    if not first:
        synced(provider, worker, rows)

    def answer(asked: Asked) -> Answered:
        page = page_of(rows, asked, cap=cap)
        return Answered({"users": page}, headers={"X-Total-Count": str(len(page))})

    provider.answer = answer
    status = worker.sync(mode="full")
    assert (status.state, status.complete, status.deleted) == ("done", True, 0), status.note
    assert len(worker.ids()) == 1150


@pytest.mark.parametrize("mode", ["full", "incremental"])
@pytest.mark.parametrize("marked", [400, 81])
def test_a_mass_of_rows_marked_as_deleted_is_held(
    make_worker: MakeWorker, provider: Provider, mode: str, marked: int
) -> None:
    """As one that is absent is; `allow_deletes` approves it."""
    worker = make_worker()
    rows = users(400, dateLastModified=STALE)
    cursor = synced(provider, worker, rows)
    gone = [{**row, "status": "tobedeleted"} for row in rows[:marked]]
    provider.answer = listing([*gone, *rows[marked:]])
    for _ in range(2):
        status = worker.sync(mode=mode)
        assert (status.state, status.deleted) == ("held", 0)
        assert f"{marked} of 400 records would be deleted" in (status.note or "")
    assert len(worker.ids()) == 400
    assert worker.changes(cursor) == []
    allowed = worker.sync(allow_deletes=True)
    assert (allowed.state, allowed.mode, allowed.deleted) == ("done", "full", marked)
    assert len(worker.changes(cursor)) == marked


def test_a_refused_dataset_is_not_a_refused_filter(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """The note does not say that it was read, and the filter is used again once it is allowed."""
    worker, rows = make_worker(), users(3, dateLastModified=STALE)
    synced(provider, worker, rows)
    provider.answer = lambda _: Answered({"message": "no"}, 403)
    status = worker.sync(mode="auto")
    assert (status.state, status.note) == ("failed", None)
    provider.answer = listing(rows)
    assert worker.sync(mode="auto").mode == "incremental"


def test_all_kinds_of_deletion_in_a_sync_are_one_sum(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """Fifteen of a hundred absent and ten marked are too many together, each alone is not."""
    worker, rows = make_worker(), users(100)
    synced(provider, worker, rows)
    marked = [{**row, "status": "tobedeleted"} for row in rows[:10]]
    provider.answer = listing([*marked, *rows[25:]])
    status = worker.sync(mode="full")
    assert (status.state, status.deleted) == ("held", 0)
    assert "15 are no longer in the provider's list and 10 are marked" in (status.note or "")
    provider.answer = listing([*marked, *rows[10:]])
    status = worker.sync(mode="full")
    assert (status.state, status.deleted) == ("done", 10)


def test_new_ids_for_everybody_are_held_however_many_are_new(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """What is new makes up for nothing that goes: the share is that of the records known."""
    worker = make_worker()
    synced(provider, worker, users(200))
    renamed = [{**row, "sourcedId": f"x-{row['sourcedId']}"} for row in users(1500)]
    provider.answer = listing(renamed)
    status = worker.sync(mode="full")
    assert (status.state, status.inserted, status.deleted) == ("held", 1500, 0)
    assert "200 of 200" in (status.note or "")


def test_a_mass_of_dropped_enrollments_is_held(make_worker: MakeWorker, provider: Provider) -> None:
    """PowerSchool's flag is the provider's word too; its PowerQuery gives no count here."""
    worker = make_worker("powerschool")
    dropped = "false"

    def answer(asked: Asked) -> Answered:
        size, page = asked.number("pagesize", 100), asked.number("page", 1)
        rows = [
            {"id": str(n), "student_id": "1", "section_id": "1", "school_dcid": "1",
             "dropped": dropped, "entry_date": "2026-08-20"}
            for n in range(1, 2001)
        ]  # fmt: skip
        return Answered({"name": "cc", "record": rows[(page - 1) * size : page * size]})

    provider.answer = answer
    first = worker.sync("enrollments")
    assert (first.state, first.complete, first.inserted) == ("done", True, 2000), first.note
    dropped = "true"
    status = worker.sync("enrollments")
    assert (status.state, status.deleted) == ("held", 0)
    assert len(worker.ids("enrollments")) == 2000


@pytest.mark.parametrize("length", [1, 7, 999, 1000, 1001, 1500])
@pytest.mark.parametrize("total", [True, False])
def test_a_server_that_always_gives_the_whole_list_is_read(
    make_worker: MakeWorker, provider: Provider, length: int, total: bool
) -> None:
    """In a few calls; and what is gone from it is deleted after a second look."""
    worker, rows = make_worker(), users(length)

    def answer(_asked: Asked) -> Answered:
        return Answered({"users": rows}, headers={"X-Total-Count": str(len(rows))} if total else {})

    provider.answer = answer
    status = worker.sync(mode="full")
    assert (status.state, status.complete) == ("done", True), status.note or status.error
    assert len(worker.ids()) == length
    assert status.calls_made <= 4
    if length > 1:
        del rows[length // 2]
        status = worker.sync(mode="full")
        assert (status.state, status.deleted) == ("done", 1), status.note or status.error
        assert "was read again, because records are missing from it" in (status.note or "")


@pytest.mark.parametrize("length", [1, 2, 40, 95])
def test_a_list_that_ends_in_404_is_a_list(
    make_worker: MakeWorker, provider: Provider, length: int
) -> None:
    """One row and 404 behind, or some pages; what is missing from it needs a second look."""
    worker, rows = make_worker(more="page_size = 20"), users(length)

    def answer(asked: Asked) -> Answered:
        page = page_of(rows, asked)
        return Answered({"users": page}) if page else Answered({"message": "not found"}, 404)

    provider.answer = answer
    status = worker.sync(mode="full")
    assert (status.state, status.complete) == ("done", True), status.note or status.error
    assert len(worker.ids()) == length


def test_a_list_that_breaks_off_in_404_deletes_nobody(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """With a total that promises more the sync fails; without one it is not complete."""
    worker, rows = make_worker(more="page_size = 20"), users(200)
    synced(provider, worker, rows)
    for total in (True, False):

        def answer(asked: Asked, total: bool = total) -> Answered:
            if asked.number("offset", 0) > 30:
                return Answered({"message": "no such route"}, 404)
            headers = {"X-Total-Count": "200"} if total else {}
            return Answered({"users": page_of(rows, asked)}, headers=headers)

        provider.answer = answer
        status = worker.sync(mode="full")
        assert (status.state, status.deleted) == ("failed" if total else "done", 0)
        assert not status.complete
    assert len(worker.ids()) == 200


def test_a_first_page_that_is_a_404_still_fails(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """A resource that is not there is no empty list."""
    worker = make_worker()
    provider.answer = lambda _: Answered({"message": "not found"}, 404)
    assert worker.sync(mode="full").state == "failed"


@pytest.mark.parametrize("total", ["0", "60", "1150"])
def test_a_total_that_is_too_low_deletes_nobody(
    make_worker: MakeWorker, provider: Provider, total: str
) -> None:
    """Rows behind the total, a total of 0 with rows, a full last page: read on."""
    worker, rows = make_worker(more="page_size = 50"), users(1200)
    synced(provider, worker, rows)
    provider.answer = lambda asked: Answered(
        {"users": page_of(rows, asked)}, headers={"X-Total-Count": total}
    )
    status = worker.sync(mode="full")
    assert status.deleted == 0
    assert len(worker.ids()) == 1200
    assert status.rows_seen >= 1200


@pytest.mark.parametrize("length", [100, 1000])
def test_a_next_link_that_loops_ends_and_deletes_nobody(
    make_worker: MakeWorker, provider: Provider, length: int
) -> None:
    """To the first page again and again, or to the page itself."""
    worker, rows = make_worker(more="page_size = 50"), users(length)
    synced(provider, worker, rows)

    def answer(asked: Asked) -> Answered:
        at = asked.number("at", 0) % 100
        link = f'</ims/oneroster/rostering/v1p2/students?at={(at + 50) % 100}>; rel="next"'
        return Answered({"users": rows[at : at + 50]}, headers={"Link": link})

    provider.answer = answer
    status = worker.sync(mode="full")
    assert (status.state, status.deleted) == ("failed", 0)
    assert len(worker.ids()) == length


def changed(rows: list[Any], at: str) -> list[Any]:
    """Return a newer form of the rows."""
    return [{**row, "givenName": "C", "dateLastModified": at} for row in rows]


@pytest.mark.parametrize("fault", ["text", "day", "empty", "zone"])
def test_a_filter_that_leaves_out_the_newest_known_record_is_not_trusted(
    make_worker: MakeWorker, provider: Provider, fault: str
) -> None:
    """Dates compared as text, rounded up to a day, of another zone: full read, and remembered."""
    worker = make_worker()
    rows = users(50, dateLastModified="2026-08-20T08:00:00.000Z")
    rows[7]["dateLastModified"] = "2026-08-31T22:30:00.000Z"

    def answer(asked: Asked) -> Answered:
        found = rows
        if "filter" in asked.query:
            since = asked.query["filter"].split("'")[1]
            passes = {
                "text": lambda t: t.replace("T", " ") >= since,
                "day": lambda t: t[:10] > since[:10],
                "empty": lambda _t: False,
                "zone": lambda t: t >= since.replace("T22", "T23").replace("Z", "9"),
            }[fault]
            found = [row for row in rows if passes(row["dateLastModified"])]
        return Answered(
            {"users": page_of(found, asked)}, headers={"X-Total-Count": str(len(found))}
        )

    provider.answer = answer
    assert worker.sync().mode == "full"
    worker.clock.advance(timedelta(days=1).total_seconds())
    rows[:3] = changed(rows[:3], "2026-08-31T23:10:00.000Z")
    rows[3:5] = changed(rows[3:5], "2026-09-02T07:00:00.000Z")
    status = worker.sync()
    assert (status.mode, status.complete, status.updated) == ("full", True, 5), status.note
    assert "did not give back the newest known record" in (status.note or "")
    again = worker.sync()
    assert (again.mode, again.note) == ("full", None)
    assert not any("filter" in asked.query for asked in provider.asked[-again.calls_made :])


def test_a_newest_record_that_was_deleted_is_not_blamed_on_the_filter(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """The full read finds it gone; the next sync filters again."""
    worker = make_worker()
    rows = users(50, dateLastModified="2026-08-20T08:00:00.000Z")
    rows[7]["dateLastModified"] = "2026-08-31T22:30:00.000Z"

    def answer(asked: Asked) -> Answered:
        since = asked.query.get("filter", "''").split("'")[1]
        found = [row for row in rows if row["dateLastModified"] >= since]
        return Answered(
            {"users": page_of(found, asked)}, headers={"X-Total-Count": str(len(found))}
        )

    provider.answer = answer
    assert worker.sync().mode == "full"
    assert worker.sync().mode == "incremental"
    del rows[7]
    status = worker.sync()
    assert (status.mode, status.deleted) == ("full", 1)
    assert worker.sync().mode == "incremental"


def test_allow_deletes_reads_in_full_and_is_refused_with_incremental(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """An incremental read does not see what is gone, so it could delete nothing."""
    worker, rows = make_worker(), users(300, dateLastModified=STALE)
    synced(provider, worker, rows)
    provider.answer = listing(rows[:100])
    with pytest.raises(UsageError, match="needs a full read"):
        worker.gateway.sync("lincoln", "students", mode="incremental", allow_deletes=True)
    assert worker.sync().mode == "incremental"
    status = worker.sync(allow_deletes=True)
    assert (status.mode, status.state, status.deleted) == ("full", "done", 200)


def test_a_change_made_while_a_sync_reads_is_seen_by_the_next_filter(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """Times since the sync began do not move the boundary: their pages may have been read."""
    worker = make_worker(more="page_size = 20\ntimeout_seconds = 600")
    rows = users(60, dateLastModified=STALE)
    honest = listing(rows)

    def answer(asked: Asked) -> Answered:
        if asked.number("offset", 0) > 30 and rows[0]["givenName"] == "A":
            now = worker.clock.now()
            stamp = f"{now - timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}.000Z"
            rows[0] = changed(rows[:1], stamp)[0]
            rows[59] = changed(rows[59:], f"{now:%Y-%m-%dT%H:%M:%S}.000Z")[0]
        page = honest(asked)
        worker.clock.advance(400)
        if "filter" not in asked.query:
            return page
        since = asked.query["filter"].split("'")[1]
        return Answered({"users": [r for r in rows if r["dateLastModified"] >= since]})

    provider.answer = answer
    assert worker.sync().complete
    status = worker.sync()
    assert (status.mode, status.updated) == ("incremental", 1), status.note
