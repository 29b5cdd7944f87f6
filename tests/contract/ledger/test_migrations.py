"""The tables are what the code says, however they came to be."""

from __future__ import annotations

import subprocess
import sys

from sisgate.ledger import migrate
from sisgate.ledger.database import Database, ping
from tests.contract.ledger.rows import at_once


def test_the_migrations_make_exactly_the_schema(database: Database) -> None:
    """Nothing is missing and nothing is left over."""
    with database.engine.connect() as connection:
        assert migrate.differences(connection) == []
    assert migrate.current(database) == migrate.newest()


def test_a_second_upgrade_finds_nothing_to_do(database: Database) -> None:
    """It says so, and the ledger answers."""
    assert migrate.upgrade(database) is False
    ping(database)


def test_many_processes_may_upgrade_at_once(database_url: str) -> None:
    """One does it, the others wait, all go on."""
    program = (
        "import sys; from sisgate.ledger.database import Database; "
        "from sisgate.ledger import migrate; print(migrate.upgrade(Database(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, database_url]
    many = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in many)
    assert said == ["False", "False", "True"]


def test_many_threads_may_upgrade_at_once(database_url: str) -> None:
    """The same inside one process."""
    databases = [Database(database_url) for _ in range(4)]
    results = at_once(*[lambda d=d: migrate.upgrade(d) for d in databases])
    assert sorted(results, key=str) == [False, False, False, True]
    for database in databases:
        ping(database)
        database.dispose()
