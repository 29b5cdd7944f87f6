"""Writers of a SQLite ledger wait for its one lock, and get it soon after it is free."""

import statistics
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from sisgate.clock import SystemClock
from sisgate.errors import DatabaseUnavailable
from sisgate.ledger import write_lock
from sisgate.ledger.database import Database

HELD_SECONDS = 0.15
"""After so long SQLite would try again every tenth of a second."""

SOON_SECONDS = 0.02


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return where the ledger is."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Give a ledger of one table."""
    database = Database(url)
    with database.write() as session:
        session.execute(text("CREATE TABLE written (by text)"))
    yield database
    database.dispose()


@pytest.fixture
def other(url: str, database: Database) -> Iterator[Database]:
    """Another process's connection to the same file, as far as the lock is concerned."""
    other = Database(url)
    yield other
    other.dispose()


def write(database: Database, by: str) -> float:
    """Write a row; return when the lock was there."""
    with database.write() as session:
        session.execute(text("INSERT INTO written VALUES (:by)"), {"by": by})
        return SystemClock().monotonic()


def test_a_writer_gets_the_lock_soon_after_another_process_lets_go(
    database: Database, other: Database
) -> None:
    """SQLite's own wait would add 50 ms on average."""
    clock, late = SystemClock(), []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(7):
            with database.write() as session:
                session.execute(text("INSERT INTO written VALUES ('first')"))
                second = pool.submit(write, other, "second")
                until = clock.monotonic() + HELD_SECONDS
                while clock.monotonic() < until:
                    session.execute(text("SELECT 1"))
            free_at = clock.monotonic()
            late.append(second.result() - free_at)
    assert statistics.median(late) < SOON_SECONDS, late


def test_threads_of_a_process_write_one_after_the_other(
    database: Database, other: Database
) -> None:
    """Also where another process writes at the same time; nothing is lost."""
    begin = threading.Barrier(8)

    def repeat(writer: Database, by: str) -> None:
        begin.wait()
        for _ in range(25):
            write(writer, by)

    with ThreadPoolExecutor(8) as pool:
        each = [pool.submit(repeat, (database, other)[n % 2], str(n)) for n in range(8)]
        for done in each:
            done.result()
    with database.read() as session:
        rows = session.execute(text("SELECT by, count(*) FROM written GROUP BY by"))
        assert {count for _, count in rows} == {25}


def test_a_lock_that_is_never_free_is_an_unavailable_database(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says so; later the same connection writes."""
    monkeypatch.setattr(write_lock, "BUSY_TIMEOUT_MS", 20)
    with database.write() as session:
        session.execute(text("INSERT INTO written VALUES ('first')"))
        with pytest.raises(DatabaseUnavailable, match="locked"):
            write(other, "second")
    write(other, "second")
