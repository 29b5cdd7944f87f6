"""A page is known as long as its records are those that were stored with it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from sisgate.domain.states import JobState
from sisgate.ledger import datasets, deletions, jobs, known_pages, persons, records
from sisgate.ledger.database import Database
from sisgate.ledger.known_pages import PageOnFile
from sisgate.ledger.schema import Record, Variant
from tests.contract.ledger.rows import NOW, accepted, row, write

HOUR = timedelta(hours=1)
PAGE = [row(f"r{number:02}") for number in range(30)]
ON_FILE = PageOnFile("place", b"d" * 32, facts={"rows": 30, "newest": None})


def remembered(database: Database, *, generation: int = 1) -> None:
    """Write a page, remember it, and write the next one, which shares a row with it."""
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        tally = records.write_page(
            session, dataset, PAGE[:20], job_id="job", generation=generation, now=NOW
        )
        assert tally.sightings is not None
        known_pages.remember(session, dataset, ON_FILE, tally.sightings, generation)
    write(database, PAGE[19:], generation=generation)


def confirmed(database: Database, *, generation: int = 2) -> bool:
    """Return whether the page is known still, as a call finds it and then confirms it."""
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        found = known_pages.find(session, "lincoln", "students", "place")
        return found is not None and known_pages.confirm(
            session, dataset, found, generation, NOW + HOUR
        )


def last_seen(database: Database) -> dict[str, datetime]:
    """Return when each live record was last seen."""
    found = records.stream_records(database, "lincoln", "students")
    return {record.sourced_id: record.last_seen for record in found}


def test_a_known_page_is_seen_as_if_it_had_been_read(database: Database) -> None:
    """All of its records, and no others; again and again."""
    remembered(database)
    assert confirmed(database)
    times = last_seen(database)
    assert times == {
        each.sourced_id: NOW + HOUR if place < 20 else NOW for place, each in enumerate(PAGE)
    }
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        assert deletions.carry_out(session, dataset, "job", 2, NOW) == 10
    assert confirmed(database)


def change_by_a_page(database: Database) -> None:
    """Another sync saw the record with another content."""
    write(database, [row("r07", 2)])


def change_at_the_edge(database: Database) -> None:
    """The row is on the next page, too, which had it otherwise."""
    write(database, [row("r19", 2), *PAGE[20:]])


def absence(database: Database) -> None:
    """A full sync has not seen the record."""
    write(database, [each for each in PAGE if each.sourced_id != "r07"], generation=2)
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        assert deletions.carry_out(session, dataset, "job", 2, NOW) == 1


def mark(database: Database) -> None:
    """The provider says that a record is gone; the sync is under way."""
    marked_by_a_sync(database)


def marked_by_a_sync(database: Database, resource: str = "students") -> str:
    """Let a sync mark a record of another page; return its job."""
    with database.write() as session:
        job = accepted(session, resource=resource).id
    write(database, [row("r25")], resource=resource)
    write(database, [row("r25", status="tobedeleted")], resource=resource, job_id=job)
    return job


def rewriting(database: Database) -> None:
    """An erased person was named in the record."""
    with database.write() as session:
        persons.rewrite(session, "lincoln", "students", row("r07", 2), NOW)


def removal(database: Database) -> None:
    """The record was an erased person's."""
    with database.write() as session:
        persons.remove(session, session.get_one(Record, ("lincoln", "students", "r07")))


def forgetting(database: Database) -> None:
    """All of the provider's pages were forgotten."""
    with database.write() as session:
        known_pages.forget(session, "lincoln")


def variants_elsewhere(database: Database) -> None:
    """The id came with another row on another page."""
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        records.write_page(
            session, dataset, [row("r07", 2, dateLastModified="2026-01-01T00:00:00Z")],
            job_id="job", generation=1, now=NOW, since=NOW,
        )  # fmt: skip
        assert session.query(Variant).count() == 2


def move(database: Database) -> None:
    """The record was last seen on another page, as part of an incremental sync."""
    write(database, [row("r07")], now=NOW + HOUR)


@pytest.mark.parametrize(
    "happening",
    [
        change_by_a_page, change_at_the_edge, absence, mark, rewriting, removal, forgetting,
        variants_elsewhere, move,
    ],
)  # fmt: skip
def test_whatever_happens_to_a_record_its_page_is_read_again(
    database: Database, happening: Callable[[Database], None]
) -> None:
    """It is not known any more, and confirming it changed nothing."""
    remembered(database)
    happening(database)
    before = last_seen(database)
    assert not confirmed(database)
    after = last_seen(database)
    assert after == before


def test_marks_that_wait_for_a_person_leave_pages_known(database: Database) -> None:
    """A sync may be held for days; and marks of other datasets have never mattered."""
    remembered(database)
    marked_by_a_sync(database, "teachers")
    held = marked_by_a_sync(database)
    assert not confirmed(database)
    with database.write() as session:
        jobs.end(session, jobs.get(session, held), JobState.HELD, NOW)
        dataset = datasets.lock(session, "lincoln", "students")
        assert deletions.count(session, dataset, held, None).marked == 1
    assert confirmed(database)


def test_pages_that_no_full_read_has_any_more_are_forgotten(database: Database) -> None:
    """A list that got shorter leaves nothing behind."""
    remembered(database)
    for generation, is_there in ((2, True), (3, True), (4, False)):
        with database.write() as session:
            dataset = datasets.lock(session, "lincoln", "students")
            dataset.generation = generation
            known_pages.forget_old(session, dataset)
        with database.read() as session:
            found = known_pages.find(session, "lincoln", "students", "place")
            assert (found is not None) == is_there


def test_new_sightings_are_not_taken_for_those_of_a_known_page(database: Database) -> None:
    """A page whose records are all gone stays on file a while; the numbers of its sightings too."""
    remembered(database)
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        assert deletions.carry_out(session, dataset, "job", 2, NOW) == 30
    write(database, [row(f"s{number:02}") for number in range(20)], generation=2)
    assert not confirmed(database)
