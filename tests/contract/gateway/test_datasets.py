"""Records and changes of a dataset."""

from collections.abc import Iterator

import pytest

from sisgate.errors import (
    CursorAhead,
    CursorTooOld,
    InvalidState,
    SisgateError,
    UnknownJob,
    UnknownProvider,
    UnknownRecord,
    UnknownResource,
    UsageError,
)
from sisgate.ledger.deletions import are_any_marked
from tests.contract.gateway.world import NAME, STUDENTS, World

PATH = "/ims/oneroster/rostering/v1p2/students"


def synced(world: World, students: list) -> None:
    """Sync them."""
    world.answers({PATH: {"users": students}})
    with world.working():
        status = world.gateway.sync(NAME, "students", mode="full").wait(timeout=60)
    assert (status.state, status.complete) == ("done", True), status
    (dataset,) = world.gateway.datasets.list(NAME)
    assert world.gateway.datasets.list(after=(NAME, "stu"), limit=1) == [dataset]
    assert list(world.gateway.datasets.list(after=(NAME, "students"))) == []
    assert (dataset.provider, dataset.resource) == (NAME, "students")
    assert dataset.synced_at == dataset.full_synced_at is not None
    assert dataset.change == world.gateway.datasets.cursor(NAME, "students")


def test_records_and_changes_come_as_they_were_synced(world: World) -> None:
    """In order, with times, and the cursor of the newest change."""
    assert list(world.gateway.records(NAME, "students")) == []
    assert world.gateway.datasets.roster(NAME)[0] == "orgs"
    assert list(world.gateway.datasets.absent(NAME)) == []
    synced(world, STUDENTS)
    records = list(world.gateway.records(NAME, "students", purpose="a look", request_id="r1"))
    assert [each.sourced_id for each in records] == ["s0", "s1", "s2"]
    first = records[0]
    assert (first.provider, first.resource) == (NAME, "students")
    assert first.data["familyName"] == "L0"
    assert first.first_seen.utcoffset() is not None
    assert first.deleted_at is None
    assert world.gateway.datasets.count(NAME, "students") == 3
    assert world.gateway.datasets.cursor(NAME, "students") == 3
    changes = list(world.gateway.changes(NAME, "students"))
    assert [(each.sequence, each.operation, each.sourced_id) for each in changes] == [
        (1, "insert", "s0"), (2, "insert", "s1"), (3, "insert", "s2"),
    ]  # fmt: skip
    assert changes[0].data == first.data
    assert changes[0].changed_at == first.changed_at
    synced(world, [{**STUDENTS[0], "familyName": "New"}, *STUDENTS[1:]])
    (change,) = world.gateway.changes(NAME, "students", since=3)
    assert (change.sequence, change.operation, change.sourced_id) == (4, "update", "s0")
    assert change.data is not None
    assert change.data["familyName"] == "New"
    assert list(world.gateway.changes(NAME, "students", since=4)) == []
    reads = [
        each for each in world.admin.audit.tail(limit=50) if each.actor.startswith("gradebook")
    ]
    assert {"r1"} <= {each.request_id for each in reads}


def test_a_reader_may_stop_in_the_middle(world: World) -> None:
    """And begin anew."""
    synced(world, STUDENTS)
    stream = world.gateway.records(NAME, "students")
    assert next(stream).sourced_id == "s0"
    assert isinstance(stream, Iterator)
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert len(list(world.gateway.records(NAME, "students"))) == 3


@pytest.mark.parametrize(
    ("expected", "provider", "resource"),
    [(UnknownProvider, "nowhere", "students"), (UnknownResource, NAME, "studnts")],
)
def test_a_dataset_that_does_not_exist_is_an_error_before_the_first_record(
    world: World, expected: type[SisgateError], provider: str, resource: str
) -> None:
    """Of every way to read it."""
    for read in (
        world.gateway.records, world.gateway.changes,
        world.gateway.datasets.count, world.gateway.datasets.cursor,
    ):  # fmt: skip
        with pytest.raises(expected):
            read(provider, resource)


def test_a_cursor_above_the_feed_is_told_with_the_newest(world: World) -> None:
    """The reader starts over."""
    synced(world, STUDENTS)
    with pytest.raises(CursorAhead) as ahead:
        list(world.gateway.changes(NAME, "students", since=99))
    assert ahead.value.detail["newest"] == 3
    assert list(world.admin.datasets.begin_feeds_anew(actor="ana")) == [f"{NAME}/students"]
    with pytest.raises(CursorTooOld):
        list(world.gateway.changes(NAME, "students", since=3))


def test_a_feed_tells_what_is_new_and_who_has_read_how_far(world: World) -> None:
    """Without records; an app is shown its own position only."""
    synced(world, STUDENTS)
    datasets = world.gateway.datasets
    assert list(datasets.consumers()) == []
    feed = datasets.feed(NAME, "students", limit=2)
    assert (feed.newest, feed.horizon) == (3, 0)
    assert [(each.sequence, each.operation, each.sourced_id) for each in feed.changes] == [
        (3, "insert", "s2"), (2, "insert", "s1"),
    ]  # fmt: skip
    assert feed.oldest_at is not None
    below = datasets.feed(NAME, "students", before=2)
    assert [each.sequence for each in below.changes] == [1]
    assert list(world.gateway.changes(NAME, "students", since=0))
    (mine,) = datasets.consumers(NAME, "students")
    assert (mine.app, mine.cursor, mine.behind, mine.is_lost) == ("gradebook", 3, 0, False)
    synced(world, [{**STUDENTS[0], "familyName": "New"}, *STUDENTS[1:]])
    assert list(world.admin.changes(NAME, "students", since=2))
    assert {(each.app, each.behind) for each in world.admin.datasets.consumers()} == {
        ("gradebook", 1), ("ana", 0),
    }  # fmt: skip
    assert [each.app for each in datasets.consumers()] == ["gradebook"]
    world.admin.datasets.begin_feeds_anew(actor="ana")
    assert [each.is_lost for each in world.admin.datasets.consumers()] == [True, True]
    with pytest.raises(UnknownResource):
        datasets.feed(NAME, "studnts")


def test_a_record_is_found_by_its_id_and_told_without_its_data(world: World) -> None:
    """Whoever opens it is audited; a change makes another fingerprint."""
    synced(world, STUDENTS)
    datasets = world.gateway.datasets
    page = datasets.browse(NAME, "students", start="s1", limit=1)
    assert ([each.sourced_id for each in page.records], page.next) == (["s1"], "s2")
    assert datasets.browse(NAME, "students", start="t").records == []
    before = datasets.history(NAME, "students", "s1")
    assert (before.record, list(before.changes)) == (page.records[0], [])
    synced(world, [STUDENTS[0], {**STUDENTS[1], "familyName": "New"}, STUDENTS[2]])
    after = datasets.history(NAME, "students", "s1")
    assert [(each.sequence, each.operation) for each in after.changes] == [(4, "update")]
    assert after.record.fingerprint not in {None, before.record.fingerprint}
    assert after.record.first_seen == before.record.first_seen
    opened = datasets.open(NAME, "students", ["s1", "none"], purpose="a look", request_id="r7")
    assert [(each.sourced_id, each.data["familyName"]) for each in opened] == [("s1", "New")]
    (given,) = world.admin.audit.disclosures(NAME, "s1", actor="ana")
    assert (given.purpose, given.request_id, given.is_certain) == ("a look", "r7", True)
    assert list(world.admin.audit.disclosures(NAME, "s2", actor="ana")) == []
    for unknown in ("none", "S1"):
        with pytest.raises(UnknownRecord):
            datasets.history(NAME, "students", unknown)
    for wrong in (["s1"] * 101, ["s" * 256], ["s\0"]):
        with pytest.raises(UsageError):
            datasets.open(NAME, "students", wrong)


def test_what_a_held_sync_would_delete_is_listed_record_by_record(world: World) -> None:
    """Absent and marked ones, a page at a time, until a later sync settles it."""
    many = [{**STUDENTS[0], "sourcedId": f"s{number:02}"} for number in range(30)]
    synced(world, many)
    marked = [{**each, "status": "tobedeleted"} for each in many[18:21]]
    world.answers({PATH: {"users": [*many[:18], *marked]}})
    with world.working():
        held = world.gateway.sync(NAME, "students", mode="full").wait(timeout=60)
    assert held.state == "held", held
    first = world.gateway.jobs.deletions(held.id, limit=10)
    assert (first.live, first.absent, first.marked, first.next) == (30, 9, 3, "s28")
    assert [(each.sourced_id, each.why) for each in first.records[1:5]] == [
        ("s19", "marked"), ("s20", "marked"), ("s21", "absent"), ("s22", "absent"),
    ]  # fmt: skip
    rest = world.gateway.jobs.deletions(held.id, start=first.next or "", limit=10)
    assert [each.sourced_id for each in rest.records] == ["s28", "s29"]
    assert (rest.live, rest.next) == (None, None)
    world.answers({PATH: {"users": many[:21]}})
    with world.working():
        job = world.admin.sync(NAME, "students", mode="full", allow_deletes=True)
        assert job.wait(timeout=60).deleted == 9
        with pytest.raises(InvalidState):
            world.admin.jobs.deletions(job.id)
    assert list(world.gateway.jobs.deletions(held.id).records) == []
    with world.fleet.context.database.read() as session:
        assert not are_any_marked(session), "a later sync has settled it"
    with pytest.raises(UnknownJob):
        world.gateway.jobs.deletions(job.id)
