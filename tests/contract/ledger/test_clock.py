"""A PostgreSQL ledger shows its time to whoever makes a transaction there."""

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from sisgate.clock import READ_EVERY_SECONDS, ReferenceClock, SystemClock
from sisgate.ledger import migrate
from sisgate.ledger.database import Database, ping
from sisgate.ledger.engine import read_clock
from sisgate.ledger.schema import Job
from testbed.clock import ManualClock

CLOSE = timedelta(seconds=20)
"""The database is on this machine; only a slow one makes them differ."""


def never() -> datetime | None:
    """Read no clock: what is read comes by transactions."""
    return None


def test_a_transaction_reads_the_clock_of_the_database(postgres_url: str) -> None:
    """A host that is months off goes by it, and reads it again when it is due."""
    host = ManualClock(SystemClock().now() - timedelta(days=90))
    clock = ReferenceClock(never, host)
    database = Database(postgres_url)
    try:
        database.show_time(clock)
        ping(database)
        assert abs(clock.now() - SystemClock().now()) < CLOSE
        host.advance(READ_EVERY_SECONDS)
        ping(database)
        ping(database)
        assert abs(clock.now() - SystemClock().now()) < CLOSE
    finally:
        database.dispose()


def test_the_clock_can_be_read_without_a_pool(postgres_url: str) -> None:
    """As a process does that must not keep connections, and one that finds no database."""
    theirs = read_clock(postgres_url)
    assert theirs is not None
    assert abs(theirs - SystemClock().now()) < CLOSE
    assert read_clock("postgresql+psycopg://nobody@127.0.0.1:1/none") is None


def test_nobody_waits_for_a_clock_under_the_lock_of_sqlite(tmp_path: Path) -> None:
    """It is read before the transaction begins; then a slow Redis keeps no other writer waiting."""
    host = ManualClock()
    database = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    is_locked, read_under_lock = False, []

    def read() -> datetime:
        read_under_lock.append(is_locked)
        return host.now()

    clock = ReferenceClock(read, host)
    migrate.upgrade(database)
    database.show_time(clock)
    try:
        for _ in range(10):
            with database.write() as session:
                session.execute(select(Job.id).limit(0))
                is_locked = True
                clock.now()
            is_locked = False
            host.advance(READ_EVERY_SECONDS / 3)
    finally:
        database.dispose()
    assert len(read_under_lock) >= 3
    assert not any(read_under_lock)
