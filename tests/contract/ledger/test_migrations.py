"""The tables are what the code says, however they came to be."""

import json
import subprocess
import sys

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from sisgate.errors import DatabaseUnavailable
from sisgate.ledger import migrate
from sisgate.ledger.database import Database, ping
from sisgate.ledger.schema import Record
from testbed.ledgers import differences
from tests.contract.ledger.rows import at_once

OLD_JOB = text(
    "INSERT INTO jobs (id, kind, state, app, provider, priority, options, fingerprint, "
    "accepted_at, error, rows_seen, inserted, updated, deleted, calls_made, throttled) VALUES "
    "(:id, 'request', 'failed', 'app', 'lincoln', 6, '{}', 'x', '2026-09-01', :error, "
    "0, 0, 0, 0, 0, 0)"
)
OLD_CALL = text(
    "INSERT INTO calls (job_id, provider, priority, purpose, state, attempt, tries, lost_workers, "
    "look, planned_at, error) VALUES (:job, 'lincoln', 6, 'request', 'failed', 1, 0, 0, 1, "
    "'2026-09-01', :error)"
)
OLD_RECORD = text(
    "INSERT INTO records (provider, resource, sourced_id, data, original, content_hash, "
    "generation, first_seen, last_seen, changed_at) VALUES ('lincoln', 'students', :id, '{}', "
    ":original, :hash, 0, '2026-09-01', '2026-09-01', '2026-09-01')"
)


def test_the_migrations_make_exactly_the_schema(database: Database) -> None:
    """Nothing is missing and nothing is left over."""
    with database.engine.connect() as connection:
        assert differences(connection) == []
    assert migrate.current(database) == migrate.newest()


def test_what_a_ledger_holds_is_kept_by_an_upgrade(database_url: str) -> None:
    """Also where SQLite copies a table that others refer to; and old failures get their marks."""
    database = Database(database_url)
    migrate.upgrade(database, "0004")
    errors = {
        "unsafe": {"code": "unknown"},
        "poison": {"code": "poison"},
        "tried": {"code": "provider_refused", "tries": 5},
        "refused": {"code": "provider_refused"},
    }
    with database.write() as session:
        for name, error in errors.items():
            session.execute(OLD_JOB, {"id": name, "error": json.dumps(error)})
            session.execute(OLD_CALL, {"job": name, "error": json.dumps(error)})
        session.execute(text("INSERT INTO attempts (call_id, number, provider, started_at, "
                             "lease_until) SELECT id, 1, 'lincoln', planned_at, planned_at "
                             "FROM calls"))  # fmt: skip
    assert migrate.upgrade(database)
    with database.write() as session:
        rows = session.execute(text("SELECT id, state, dead FROM jobs")).all()
        found = {row.id: (row.state, bool(row.dead)) for row in rows}
        assert session.scalar(text("SELECT count(*) FROM attempts")) == len(errors)
    with database.write() as session:
        # What refers to a row goes with it again, now that the upgrade is over.
        session.execute(text("DELETE FROM jobs"))
        assert session.scalar(text("SELECT count(*) FROM attempts")) == 0
    assert found == {
        "unsafe": ("unknown", False),
        "poison": ("failed", True),
        "tried": ("failed", True),
        "refused": ("failed", False),
    }
    database.dispose()


def test_originals_are_kept_by_an_upgrade(database_url: str) -> None:
    """They become text on PostgreSQL, and mean the same; what was emptied is still empty."""
    database = Database(database_url)
    migrate.upgrade(database, "0027")
    originals = {"full": {"name": "Zoë", "ids": [1, None]}, "emptied": {}}
    with database.write() as session:
        for name, original in originals.items():
            values = {"id": name, "original": json.dumps(original), "hash": b"x"}
            session.execute(OLD_RECORD, values)
    migrate.upgrade(database)
    with database.read() as session:
        found = {record.sourced_id: record.original for record in session.scalars(select(Record))}
        full = session.scalars(select(Record.sourced_id).where(Record.original != {})).all()
    assert found == originals
    assert full == ["full"]
    database.dispose()


@pytest.mark.parametrize("table", ["jobs", "calls"])
def test_a_state_that_is_none_is_refused(database: Database, table: str) -> None:
    """By the database itself, after all upgrades."""
    with database.write() as session:
        session.execute(OLD_JOB, {"id": "one", "error": "null"})
        session.execute(OLD_CALL, {"job": "one", "error": "null"})
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text(f"UPDATE {table} SET state = 'sleeping'"))


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


def test_an_upgrade_does_not_queue_for_long_behind_a_backup(postgres_url: str) -> None:
    """All other work would queue behind it. Nothing is changed, and it can be run again."""
    database = Database(postgres_url)
    migrate.upgrade(database, "0029")
    with database.engine.connect() as backup:
        backup.execute(text("LOCK TABLE attempts IN ACCESS SHARE MODE"))
        with pytest.raises(DatabaseUnavailable, match="pg_locks"):
            migrate.upgrade(database)
        assert migrate.current(database) == "0029"
    assert migrate.upgrade(database)
    database.dispose()
