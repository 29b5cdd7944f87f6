"""Ledgers with all their tables and no rows, without running every migration for every test."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from sisgate.ledger import migrate
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Base
from testbed.postgres import PostgresServer

# The audit log refuses to be emptied; as a replica no trigger runs. Only what has rows is emptied:
# that makes new files for a table and its indexes.
_EMPTY = """
DO $$
DECLARE
    name text;
    has_rows boolean;
    filled text[] := '{}';
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO has_rows;
        IF has_rows THEN filled := filled || format('%I', name); END IF;
    END LOOP;
    IF filled <> '{}' THEN
        EXECUTE 'TRUNCATE ' || array_to_string(filled, ', ') || ' CASCADE';
    END IF;
    PERFORM setval(oid, 1, false) FROM pg_class WHERE relkind = 'S';
END $$
"""


class Ledgers:
    """Makes the tables of each kind of database once.

    A test that changes tables takes an empty database of its own and runs the migrations there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._postgres: tuple[PostgresServer, str] | None = None

    @cached_property
    def _file(self) -> Path:
        file = self._folder / "ledger.sqlite3"
        _make_tables(f"sqlite:///{file}")
        return file

    def sqlite(self, file: Path) -> str:
        """Return the SQLAlchemy URL of an empty ledger in `file`."""
        shutil.copyfile(self._file, file)
        return f"sqlite:///{file}"

    def postgres(self, server: PostgresServer) -> str:
        """Return the SQLAlchemy URL of the one ledger of a server, emptied."""
        if self._postgres is None or self._postgres[0] is not server:
            self._postgres = server, server.create_database()
            _make_tables(server.url(self._postgres[1]))
        url = server.url(self._postgres[1])
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(_EMPTY)
        return url


def _make_tables(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database)
    database.dispose()


ENGINES = ("sqlite", "postgresql")


@contextmanager
def ledger_of(postgres: PostgresServer, engine: str) -> Iterator[tuple[Path, str]]:
    """Give a folder and the URL of an empty database of a kind."""
    with tempfile.TemporaryDirectory(prefix="sisgate-ledger-") as folder:
        if engine == "sqlite":
            yield Path(folder), f"sqlite:///{folder}/sisgate.db"
            return
        name = postgres.create_database()
        try:
            yield Path(folder), postgres.url(name)
        finally:
            postgres.drop_database(name)


def differences(connection: Connection) -> list[object]:
    """Return how the tables differ from the code's schema; empty when they agree."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))
