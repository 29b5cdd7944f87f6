"""Pages become records, and what they change becomes a feed without gaps."""

import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from sisgate.clock import SystemClock, poll_until
from sisgate.domain.records import Row
from sisgate.errors import CursorAhead, CursorTooOld
from sisgate.ledger import datasets, deletions, expiry, page_statements, records, variants
from sisgate.ledger.database import Database
from sisgate.ledger.deletions import Doomed
from sisgate.ledger.records import Tally
from tests.contract.ledger.rows import (
    NOW,
    at_once,
    delete_marked,
    planned,
    row,
    somebody_waits,
    write,
)

LATER = NOW + timedelta(hours=1)


def feed(database: Database, since: int = 0) -> list[tuple[int, str, str]]:
    """Return number, operation and id of the changes above `since`."""
    found = records.stream_changes(database, "lincoln", "students", since=since)
    return [(change.sequence, change.operation, change.sourced_id) for change in found]


def live(database: Database) -> dict[str, Any]:
    """Return the values of the live records by id."""
    found = records.stream_records(database, "lincoln", "students")
    return {record.sourced_id: record.data["value"] for record in found}


def delete_missing(database: Database, generation: int) -> int:
    """Delete what a generation has not seen."""
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        return deletions.carry_out(session, dataset, "job", generation, LATER)


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """Collect the statements that are sent."""
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine, "before_cursor_execute", note)


def test_a_page_is_inserted_updated_left_alone_deleted_and_revived(database: Database) -> None:
    """Each row's fate is one change, or none, and its times tell when."""
    assert write(database, [row("a"), row("b"), row("c")]) == Tally(inserted=3)
    second = [row("a"), row("b", 2), row("c", status="tobedeleted")]
    assert write(database, second, now=LATER) == Tally(updated=1, marked=1, unchanged=1)
    assert live(database) == {"a": 1, "b": 2, "c": 1}
    assert delete_marked(database, now=LATER) == 1
    assert live(database) == {"a": 1, "b": 2}
    stored = {
        r.sourced_id: r
        for r in records.stream_records(
            database, "lincoln", "students", include_deleted=True, include_original=True
        )
    }
    assert (stored["a"].first_seen, stored["a"].last_seen, stored["a"].changed_at) == (
        NOW,
        LATER,
        NOW,
    )
    assert (stored["b"].first_seen, stored["b"].changed_at) == (NOW, LATER)
    assert stored["c"].deleted_at == LATER
    assert stored["b"].original == {"raw": second[1].data}
    assert write(database, [row("c")], now=LATER) == Tally(inserted=1)
    assert feed(database) == [
        (1, "insert", "a"), (2, "insert", "b"), (3, "insert", "c"),
        (4, "update", "b"), (5, "delete", "c"), (6, "insert", "c"),
    ]  # fmt: skip


def test_a_row_named_twice_counts_once(database: Database) -> None:
    """In one page the last one holds; an unknown row marked as deleted is nothing."""
    page = [row("a", 1), row("a", 2), row("x", status="tobedeleted")]
    assert write(database, page) == Tally(inserted=1)
    assert live(database) == {"a": 2}
    assert write(database, [row("x", status="tobedeleted")]) == Tally()


def test_the_same_page_again_writes_no_change(database: Database) -> None:
    """Whatever the order of its keys."""
    write(database, [Row("a", {"sourcedId": "a", "x": 1, "y": 2}, {})])
    cursor = feed(database)[-1][0]
    assert write(database, [Row("a", {"y": 2, "x": 1, "sourcedId": "a"}, {})]).unchanged == 1
    assert feed(database, cursor) == []


def test_a_page_takes_as_many_statements_whatever_its_size(database: Database) -> None:
    """Ten rows or a thousand: the same few statements."""

    def page(size: int, value: int) -> list[Row]:
        mixed = [row(f"r{n}", value if n % 2 else 0) for n in range(size)]
        return [*mixed, row("r0", status="tobedeleted")]

    counts = []
    for size in (10, 1000):
        write(database, page(size, 1))
        with counted(database) as sent:
            write(database, page(size, 2), generation=2)
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert counts[0] <= 10


def test_readers_never_find_a_gap_while_pages_are_written_at_once(database: Database) -> None:
    """A reader that follows its cursor sees every number, in order, once."""
    done = threading.Event()
    seen: list[int] = []

    def follow() -> None:
        while True:
            last_round = done.is_set()
            cursor = seen[-1] if seen else 0
            seen.extend(number for number, *_ in feed(database, cursor))
            if last_round:
                return

    def pages(writer: int) -> None:
        for page in range(8):
            write(database, [row(f"{writer}-{page}-{n}") for n in range(5)])

    reader = threading.Thread(target=follow)
    reader.start()
    failures = at_once(*[lambda writer=writer: pages(writer) for writer in range(4)])
    done.set()
    reader.join(60)
    assert failures == [None] * 4
    assert seen == list(range(1, 161))


def test_two_pages_with_the_same_rows_at_once_insert_them_once(database: Database) -> None:
    """Whoever comes second finds them there."""
    page = [row(f"r{n}") for n in range(50)]
    tallies = at_once(*[lambda: write(database, page)] * 4)
    assert sorted(tally.inserted for tally in tallies) == [0, 0, 0, 50]
    assert len(feed(database)) == 50


def test_what_a_full_sync_has_not_seen_is_deleted(database: Database) -> None:
    """In the feed each deletion has its own number after the others, and then it is done."""
    write(database, [row("a"), row("b"), row("c")], generation=1)
    write(database, [row("b")], generation=2)
    assert delete_missing(database, 2) == 2
    assert feed(database, 3) == [(4, "delete", "a"), (5, "delete", "c")]
    assert live(database) == {"b": 1}
    assert delete_missing(database, 2) == 0
    write(database, [row("d")], generation=2)
    assert feed(database, 5) == [(6, "insert", "d")]


def test_what_is_marked_is_gone_only_at_the_end_and_only_if_nobody_saw_it_since(
    database: Database,
) -> None:
    """Marks are counted beside what is absent, a record once; a job's marks are its own."""
    write(database, [row(name) for name in "abcdef"], generation=1)
    gone = [row("a", status="tobedeleted"), row("b", status="tobedeleted")]
    write(database, [*gone, row("c")], generation=2, job_id="one")
    write(database, [row("b"), row("d")], generation=2, job_id="one")
    write(database, [row("d", status="tobedeleted")], generation=2, job_id="other")
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        assert deletions.count(session, dataset, "one", 2) == Doomed(live=6, marked=1, absent=2)
        assert deletions.count(session, dataset, "one", None) == Doomed(live=6, marked=1)
        assert deletions.count(session, dataset, "none", None).count == 0
        assert deletions.carry_out(session, dataset, "one", 2, LATER) == 3
    assert set(live(database)) == {"b", "c", "d"}
    assert feed(database, 6) == [(7, "delete", "a"), (8, "delete", "e"), (9, "delete", "f")]


def test_a_record_that_comes_back_while_deleted_ones_expire_stays(database: Database) -> None:
    """It was among those to delete, until the transaction that has it locked is committed."""
    write(database, [row("a")])
    write(database, [row("a", status="tobedeleted")])
    assert delete_marked(database) == 1
    expiring = threading.Thread(target=lambda: list(expiry.RECORDS.delete(database, LATER)))
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        records.write_page(session, dataset, [row("a")], job_id="job", generation=1, now=NOW)
        expiring.start()
        if not database.is_sqlite:
            assert poll_until(
                lambda: somebody_waits(database), clock=SystemClock(), timeout_seconds=30
            )
    expiring.join(30)
    with database.read() as session:
        assert records.count_live(session, "lincoln", "students") == 1


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("first", ["active", "tobedeleted"])
def test_of_two_rows_of_one_id_the_one_that_is_alive_holds(
    database: Database, first: str, size: int
) -> None:
    """Whichever comes first, in one page or two: who left one of two schools is not gone."""
    write(database, [row("a")], generation=1)
    second = "active" if first == "tobedeleted" else "tobedeleted"
    rows = [row("a", 2, status=first), row("a", 2, status=second)]
    for place in range(0, 2, size):
        with database.write() as session:
            dataset = datasets.lock(session, "lincoln", "students")
            records.write_page(
                session, dataset, rows[place : place + size], job_id="job", generation=2,
                now=LATER + timedelta(seconds=place), since=LATER,
            )  # fmt: skip
    assert delete_marked(database, now=LATER) == 0
    assert live(database) == {"a": 2}


def test_a_record_that_another_sync_then_finds_alive_is_not_deleted(database: Database) -> None:
    """Two syncs run side by side; the record came back between their looks."""
    write(database, [row("a"), row("b")])
    one, _ = planned(database)
    two, _ = planned(database)
    elsewhere, _ = planned(database, resource="teachers")
    gone = [row("a", status="tobedeleted"), row("b", status="tobedeleted")]
    write(database, gone, job_id=one)
    write(database, [row("a")], job_id=elsewhere, resource="teachers")
    write(database, [row("b")], job_id=two)
    assert delete_marked(database, job_id=one) == 1
    assert set(live(database)) == {"b"}


def test_a_cursor_above_the_end_of_the_feed_is_refused(database: Database) -> None:
    """As after a restore of an older backup; the newest number itself is a good cursor."""
    write(database, [row("a"), row("b")])
    assert feed(database, 2) == []
    with pytest.raises(CursorAhead, match="read all records again") as ahead:
        feed(database, 3)
    assert (ahead.value.detail["cursor"], ahead.value.detail["newest"]) == (3, 2)
    with pytest.raises(CursorAhead):
        list(records.stream_changes(database, "lincoln", "teachers", since=1))


def test_of_two_full_syncs_at_once_the_older_hides_nothing(database: Database) -> None:
    """What the newer saw stays seen, whichever wrote last."""
    write(database, [row("a"), row("b")], generation=1)
    write(database, [row("a"), row("b")], generation=3)
    write(database, [row("a"), row("b", 2)], generation=2)
    assert delete_missing(database, 3) == 0
    assert live(database) == {"a": 1, "b": 2}


def test_datasets_do_not_touch_each_other(database: Database) -> None:
    """Their numbers, and their deletions, are their own."""
    write(database, [row("a")])
    write(database, [row("a")], resource="teachers")
    write(database, [], generation=2)
    delete_missing(database, 2)
    assert live(database) == {}
    assert [r.sourced_id for r in records.stream_records(database, "lincoln", "teachers")] == ["a"]
    assert feed(database) == [(1, "insert", "a"), (2, "delete", "a")]


def test_a_change_of_a_deleted_record_shows_no_data(database: Database) -> None:
    """The feed gives the record as it is now."""
    write(database, [row("a"), row("b")])
    write(database, [row("a", status="tobedeleted"), row("b", 7)])
    delete_marked(database)
    data = {c.sequence: c.data for c in records.stream_changes(database, "lincoln", "students")}
    assert data[1] is None
    assert data[2] is not None
    assert data[2]["value"] == 7


def test_streaming_takes_little_memory_whatever_the_length(database: Database) -> None:
    """Four times the records do not need twice the memory, and all come in order."""
    peaks = []
    for total in (3000, 12_000):
        with database.read() as session:
            have = records.count_live(session, "lincoln", "students")
        for begin in range(have, total, 1000):
            write(database, [row(f"{n:06}", "x" * 200) for n in range(begin, begin + 1000)])
        tracemalloc.start()
        ids = 0
        last = ""
        for record in records.stream_records(database, "lincoln", "students"):
            assert record.sourced_id > last
            last, ids = record.sourced_id, ids + 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert ids == total
    assert peaks[1] < 2 * peaks[0]


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(text.filter(bool).map(lambda t: f"id {t}"), value, max_size=8))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_json_can_say_is_stored_and_read_back(
    database: Database, found: dict[str, Any]
) -> None:
    """Emoji, quotes, backslashes, huge numbers: the same comes out."""
    write(database, [row(name, each) for name, each in found.items()])
    stored = live(database)
    for name, each in found.items():
        assert stored[name] == each or isinstance(each, float | list | dict)


@pytest.mark.parametrize("name", ["a" * 255, "😀" * 100, "Ω\n\t'\"\\%_", " leading"])
def test_odd_ids_are_kept_as_they_are(database: Database, name: str) -> None:
    """Up to the specification's 255 characters; a longer one is the dialect's to refuse."""
    write(database, [row(name)])
    write(database, [row(name, 2)])
    assert live(database) == {name: 2}


def test_after_a_restore_every_reader_starts_anew(database: Database) -> None:
    """Numbers that were given before the restore are below the horizon, those after it are new."""
    write(database, [row("a"), row("b")])
    with database.write() as session:
        assert datasets.begin_feeds_anew(session) == ["lincoln/students"]
    for cursor in (0, 2, 100_000):
        with pytest.raises(CursorTooOld):
            feed(database, cursor)
    with database.read() as session:
        newest = datasets.newest_change(session, "lincoln", "students")
    write(database, [row("c")])
    assert feed(database, newest) == [(newest + 1, "insert", "c")]


def teacher(name: str, school: str, **words: Any) -> Row:
    """Return a person's row as it comes for one school."""
    org = {"sourcedId": school, "type": "org"}
    roles = [{"roleType": "primary", "role": "teacher", "org": org}]
    return row(name, roles=roles, primaryOrg=org, **words)


def read_again(database: Database, pages: Sequence[Sequence[Row]], generation: int) -> int:
    """Read pages as one full sync does; return how many updates it made."""
    begun = NOW + timedelta(hours=generation)
    updates = 0
    for number, page in enumerate(pages):
        with database.write() as session:
            dataset = datasets.lock(session, "lincoln", "teachers")
            at = begun + timedelta(minutes=1 + number)
            updates += records.write_page(
                session, dataset, page, job_id="job", generation=generation, now=at, since=begun
            ).updated
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "teachers")
        return updates + variants.forget_unseen(
            session, dataset, generation, job_id="job", now=begun + timedelta(minutes=30)
        )


def schools_of(database: Database, name: str) -> list[str]:
    """Return where a stored person has roles."""
    found = {r.sourced_id: r.data for r in records.stream_records(database, "lincoln", "teachers")}
    return [role["org"]["sourcedId"] for role in found[name]["roles"]]


def test_rows_of_one_id_in_several_schools_are_one_person(database: Database) -> None:
    """In one page or in two; a list that stays the same makes no change, a school left goes."""
    far = [[teacher("t1", "s1"), teacher("t3", "s1")], [teacher("t1", "s2")]]
    near = [teacher("t2", school) for school in ("s3", "s1", "s2")]
    read_again(database, [*far, near], 1)
    assert schools_of(database, "t1") == ["s1", "s2"]
    assert schools_of(database, "t2") == ["s1", "s2", "s3"]
    assert read_again(database, [*far, near], 2) == 0
    assert read_again(database, [near, *reversed(far)], 3) == 0
    assert read_again(database, [far[0], near[1:]], 4) == 2
    assert schools_of(database, "t1") == ["s1"]
    assert schools_of(database, "t2") == ["s1", "s2"]
    assert read_again(database, [far[0], near[1:]], 5) == 0
    assert schools_of(database, "t1") == ["s1"]


def test_a_change_of_one_of_the_rows_is_a_change_of_the_person(database: Database) -> None:
    """The roles of the other school stay."""
    read_again(database, [[teacher("t1", "s1")], [teacher("t1", "s2")]], 1)
    new = [[teacher("t1", "s1", email="new")], [teacher("t1", "s2")]]
    assert read_again(database, new, 2) == 1
    assert schools_of(database, "t1") == ["s1", "s2"]
    assert read_again(database, new, 3) == 0


def test_rows_of_one_id_that_cannot_be_merged_are_told_and_make_no_changes(
    database: Database,
) -> None:
    """Neither is dropped without a word, and neither replaces the other in each sync."""
    pages = [[row("x", 1), row("y", 1)], [row("x", 2)]]
    read_again(database, pages, 1)
    assert read_again(database, pages, 2) == 0
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "teachers")
        assert variants.count_conflicts(session, dataset) == 1
    assert read_again(database, [[row("x", 1), row("y", 1)]], 3) == 0
    assert read_again(database, [[row("x", 1), row("y", 1)]], 4) == 1
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "teachers")
        assert variants.count_conflicts(session, dataset) == 0


def test_an_edit_between_two_looks_is_an_update(database: Database) -> None:
    """Another sync, or an earlier page of this one, saw the record as it was: no conflict."""
    begun = LATER
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        for minute, value in ((1, 1), (2, 2)):
            at = begun + timedelta(minutes=minute)
            edited = row("a", value, dateLastModified=at.isoformat())
            records.write_page(
                session, dataset, [edited], job_id="job", generation=1, now=at, since=begun
            )
        assert variants.count_conflicts(session, dataset) == 0
        assert not page_statements.known(session, dataset, ["a"])["a"].has_variants
    assert live(database) == {"a": 2}


def test_forgetting_rows_takes_as_many_statements_however_many_they_are(database: Database) -> None:
    """A change of terms at the provider may concern all of them at once."""
    counts = []
    for generation, size in ((1, 10), (3, 300)):
        both = [teacher(f"t{n}", school) for n in range(size) for school in ("s1", "s2")]
        read_again(database, [both], generation)
        one = [teacher(f"t{n}", "s1") for n in range(size)]
        with counted(database) as sent:
            assert read_again(database, [one], generation + 1) == size
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert schools_of(database, "t299") == ["s1"]


def test_what_a_way_of_reading_cannot_tell_stays(database: Database) -> None:
    """A PowerSchool section read without the plugin has no room and no name of its course."""
    told = row("c1", title="Algebra", location="12")
    blind = replace(row("c1", title="Section 1"), untold=("title", "location"))
    assert write(database, [told]).inserted == 1
    assert write(database, [blind]) == Tally(unchanged=1)
    assert write(database, [replace(blind, data={**blind.data, "value": 2})]).updated == 1
    (stored,) = records.stream_records(database, "lincoln", "students")
    assert (stored.data["title"], stored.data["location"]) == ("Algebra", "12")
    assert stored.data["value"] == 2
