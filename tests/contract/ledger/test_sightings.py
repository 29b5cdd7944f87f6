"""When records were last seen is noted for many at once, and stays exact whatever comes."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from sisgate.ledger import datasets, deletions, migrate, records, removal
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Record, Sighting
from testbed.ledgers import differences
from tests.contract.ledger.rows import NOW, row, write

HOUR = timedelta(hours=1)
PAGE = [row(f"r{number:03}") for number in range(100)]


@contextmanager
def writes(database: Database) -> Iterator[list[str]]:
    """Collect the statements that change records or sightings, and how many rows each meets."""
    sent: list[str] = []

    def note(_c: Any, cursor: Any, statement: str, *_: Any) -> None:
        words = statement.split()
        if words[0] in {"INSERT", "UPDATE", "DELETE"}:
            table = next(word for word in words if word in {"records", "sightings", "datasets"})
            sent.append(f"{words[0]} {table} {cursor.rowcount}")

    event.listen(database.engine, "after_cursor_execute", note)
    yield sent
    event.remove(database.engine, "after_cursor_execute", note)


def seen_at(database: Database) -> dict[str, Any]:
    """Return when each record was last seen."""
    found = records.stream_records(database, "lincoln", "students", include_deleted=True)
    return {record.sourced_id: record.last_seen for record in found}


def check_sizes(database: Database) -> None:
    """Each sighting has exactly as many live records as it says, and none is empty."""
    with database.read() as session:
        said = {s.id: s.size for s in session.scalars(select(Sighting))}
        counted = (
            select(Record.sighting_id, func.count())
            .where(Record.deleted_at.is_(None), Record.sighting_id.is_not(None))
            .group_by(Record.sighting_id)
        )
        assert said == dict(iter(session.execute(counted)))
        deleted = select(func.count()).where(Record.deleted_at.is_not(None))
        assert session.scalar(deleted.where(Record.sighting_id.is_not(None))) == 0


def test_a_page_that_is_the_same_changes_three_narrow_rows(database: Database) -> None:
    """One for the rows at each end, which the next page has too, and one for all others."""
    write(database, PAGE)
    with writes(database) as sent:
        assert write(database, PAGE, generation=2, now=NOW + HOUR).unchanged == 100
    assert [each for each in sent if "records" in each] == []
    assert len([each for each in sent if "sightings" in each]) == 1
    assert set(seen_at(database).values()) == {NOW + HOUR}
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Sighting)) == 3


def test_a_list_that_shifts_by_a_row_moves_few_records(database: Database) -> None:
    """A new row at its beginning moves every page's last row to the next page."""
    for start in (0, 49):
        write(database, PAGE[start : start + 50])
    shifted = [row("new"), *PAGE]
    for start in (0, 49):
        with writes(database) as sent:
            write(database, shifted[start : start + 50], generation=2, now=NOW + HOUR)
        moved = [int(each.split()[-1]) for each in sent if "UPDATE records" in each]
        assert sum(moved) <= 5
    assert seen_at(database)["r098"] == NOW
    check_sizes(database)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_pages_come_each_record_is_known_by_its_own_last_sight(
    database: Database, seed: int
) -> None:
    """Pages of any cut and order, changed rows, deletions: as if each record had its own note."""
    chance = random.Random(seed)
    names = [f"r{number:02}" for number in range(40)]
    generations: dict[str, int] = {}
    contents: dict[str, int] = {}
    for generation in range(1, 9):
        begun = NOW + generation * HOUR
        chance.shuffle(names) if chance.random() < 0.3 else names.sort()
        read = [name for name in names if chance.random() < 0.9]
        size = chance.choice([3, 7, 20])
        told: dict[str, int] = {}
        for place in range(0, len(read), size - 1):
            page = read[place : place + size]
            if chance.random() < 0.1:
                continue
            rows = []
            for name in page:
                before = contents.get(name, 0)
                now_says = before + 1 if name not in told and chance.random() < 0.1 else before
                contents[name] = told[name] = now_says
                rows.append(row(name, now_says))
                generations[name] = generation
            with database.write() as session:
                dataset = datasets.lock(session, "lincoln", "students")
                at = begun + timedelta(seconds=place)
                records.write_page(
                    session, dataset, rows, job_id="job", generation=generation, now=at,
                    since=begun,
                )  # fmt: skip
        times = seen_at(database)
        assert all(begun <= times[name] for name in told)
        check_sizes(database)
        if chance.random() < 0.5:
            with database.write() as session:
                dataset = datasets.lock(session, "lincoln", "students")
                unseen = {name for name, last in generations.items() if last < generation}
                doomed = deletions.count(session, dataset, "job", generation)
                assert doomed.absent == len(unseen)
                assert doomed.live == (len(generations) if unseen else 0)
                deletions.carry_out(session, dataset, "job", generation, begun)
            for name in unseen:
                del generations[name]
            after = seen_at(database)
            assert {name: after[name] for name in unseen} == {n: times[n] for n in unseen}
            check_sizes(database)


def test_records_of_before_are_taken_over_without_being_rewritten(database_url: str) -> None:
    """An upgrade touches no record; each goes by its own columns until it is next seen."""
    database = Database(database_url)
    migrate.upgrade(database, "0012")
    with database.write() as session:
        for name, generation in (("a", 3), ("b", 3), ("c", 2)):
            session.execute(
                text(
                    "INSERT INTO records (provider, resource, sourced_id, data, original, "
                    "content_hash, generation, first_seen, last_seen, changed_at) VALUES ("
                    "'lincoln', 'students', :name, :data, '{}', :hash, :generation, "
                    ":at, :at, :at)"
                ),
                {
                    "name": name, "data": row(name).data_json, "hash": row(name).content_hash,
                    "generation": generation,
                    "at": NOW if "postgresql" in database_url else "2026-09-01 08:00:00.000000",
                },
            )  # fmt: skip
    assert migrate.upgrade(database)
    assert set(seen_at(database).values()) == {NOW}
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        assert deletions.count(session, dataset, "job", 3) == deletions.Doomed(3, 0, 1)
    assert write(database, [row("a"), row("b")], generation=4, now=NOW + HOUR).unchanged == 2
    assert seen_at(database) == {"a": NOW + HOUR, "b": NOW + HOUR, "c": NOW}
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        assert deletions.carry_out(session, dataset, "job", 4, NOW) == 1
    check_sizes(database)
    with database.engine.connect() as connection:
        assert differences(connection) == []
    database.dispose()


@pytest.mark.parametrize("table", ["known_pages", "records", "sightings"])
def test_a_purge_that_was_cut_short_leaves_records_that_can_be_seen_and_missed(
    database: Database, table: str
) -> None:
    """The provider may be added again before anybody repeats the purge."""
    write(database, PAGE)

    def cut(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(f"DELETE FROM {table}"):
            raise InterruptedError

    event.listen(database.engine, "before_cursor_execute", cut)
    with pytest.raises(InterruptedError):
        removal.purge(database, "lincoln")
    event.remove(database.engine, "before_cursor_execute", cut)
    with database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        records.write_page(
            session, dataset, PAGE[:50], job_id="job", generation=2, now=NOW + HOUR, since=NOW
        )
        deletions.carry_out(session, dataset, "job", 2, NOW + HOUR)
    with database.read() as session:
        assert records.count_live(session, "lincoln", "students") == 50
