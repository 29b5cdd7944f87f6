"""Bringing the ledger's tables to the version of the code.

Alembic comes with the extra `worker`; the command line does without it where no table is changed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from sisgate.ledger.database import Database

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script

_ALEMBIC = threading.Lock()
"""Alembic keeps what it works on in globals of the process."""

UPGRADE_LOCK = 0x515347415445
"""The advisory lock under which one of several starting processes upgrades PostgreSQL."""

TABLE_SECONDS = 5
"""How long a migration waits for a table that others use."""


def upgrade(database: Database, version: str = "head") -> bool:
    """Run the missing migrations; return whether there were any. Safe to run from many places.

    `version` is the one to end at, the newest by default.
    """
    from alembic import command

    database.create_file()
    # On SQLite the write lock, taken before the look, holds off other processes.
    engine = database.engine.execution_options(sisgate_writes=True)
    with database.explained(), _ALEMBIC, engine.connect() as connection, _unguarded(connection):
        _wait_for_others(connection)
        if _current(connection) == newest():
            return False
        command.upgrade(_config(connection), version)
        connection.commit()
        return True


@contextmanager
def _unguarded(connection: Connection) -> Iterator[None]:
    """Keep SQLite from deleting what refers to a table while the table is changed.

    SQLite changes a constraint by copying the table and dropping the old one, which with foreign
    keys on empties the tables that refer to it. The setting can only be changed outside of a
    transaction, so on the driver's connection.
    """
    driver = connection.connection.dbapi_connection
    if connection.dialect.name != "sqlite" or driver is None:
        yield
        return
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()
        driver.execute("PRAGMA foreign_keys=ON")


def _wait_for_others(connection: Connection) -> None:
    """Begin the transaction of the upgrade. Its lock ends with it, in whatever way that is."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
        # Who waits for a table makes all others wait behind: rather fail, changing nothing.
        connection.execute(text(f"SET LOCAL lock_timeout = '{TABLE_SECONDS}s'"))


def current(database: Database) -> str | None:
    """Return the version of the tables, or None where there are none."""
    with database.explained(), database.engine.connect() as connection:
        return _current(connection)


def history() -> list[Script]:
    """Return all migrations, the oldest first; `MultipleHeads` of Alembic where they fork."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config(None)).walk_revisions()
    return list(reversed(list(scripts)))


def newest() -> str:
    """Return the version that this code needs."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_config(None)).get_current_head()
    assert head is not None
    return head


def _current(connection: Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection | None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("sisgate.ledger") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
