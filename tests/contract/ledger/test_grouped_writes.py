"""Small writes of several threads share a transaction, and each hears of its own outcome."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from sisgate.audit.log import record
from sisgate.clock import SystemClock, poll_until
from sisgate.errors import DatabaseUnavailable, UsageError
from sisgate.ledger import audit_log
from sisgate.ledger.audit_log import AuditFilter
from sisgate.ledger.database import Database
from sisgate.ledger.grouped import GroupedWrites

AT = datetime(2026, 11, 29, tzinfo=UTC)
THREADS = 12


def note(number: int) -> object:
    """Return a write of one event."""
    return lambda session: record(session, AT, actor="a", action="b", subject=str(number))


def subjects(database: Database) -> set[str]:
    """The events that are there."""
    with database.read() as session:
        return {each.subject for each in audit_log.search(session, AuditFilter())}


def behind_one(writes: GroupedWrites, pool: ThreadPoolExecutor, works: list) -> list:
    """Start a write that lasts until all others wait behind it; return their futures."""
    begun, ends = threading.Event(), threading.Event()

    def first(_: Session) -> None:
        begun.set()
        assert ends.wait(60)

    leader = pool.submit(writes.write, first)
    assert begun.wait(60)
    waiting = [pool.submit(writes.write, work) for work in works]
    everybody = lambda: len(writes._waiting) == len(works)  # noqa: E731
    assert poll_until(everybody, clock=SystemClock(), timeout_seconds=60)
    ends.set()
    leader.result(60)
    return waiting


def test_those_who_wait_behind_a_commit_are_the_next_one(database: Database) -> None:
    """All are stored when they return."""
    writes = GroupedWrites(database)
    commits: list[object] = []
    with ThreadPoolExecutor(THREADS + 1) as pool:
        event.listen(database.engine, "commit", commits.append)
        for each in behind_one(writes, pool, [note(n) for n in range(THREADS)]):
            each.result(60)
        assert len(commits) == 1, "the first one had nothing to store"
    assert subjects(database) == {str(n) for n in range(THREADS)}


def test_one_that_fails_fails_alone(database: Database) -> None:
    """With its own error."""

    def fails(_: Session) -> None:
        raise UsageError("not this one")

    writes = GroupedWrites(database)
    with ThreadPoolExecutor(THREADS) as pool:
        waiting = behind_one(writes, pool, [note(1), fails, note(2)])
        waiting[0].result(60)
        waiting[2].result(60)
        with pytest.raises(UsageError, match="not this one"):
            waiting[1].result(60)
    assert subjects(database) == {"1", "2"}


def test_without_a_database_all_hear_of_it_at_once() -> None:
    """None of them tries again."""
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable):
        GroupedWrites(database).write(lambda session: session.connection())
    database.dispose()
