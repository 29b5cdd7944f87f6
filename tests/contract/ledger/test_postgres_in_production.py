"""PostgreSQL as it is in production: each trouble is one clear error, and ends with its cause."""

import threading
import traceback
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from sisgate.audit.keys import AuditKey, KeyRing
from sisgate.audit.writers import Writers
from sisgate.clock import SystemClock
from sisgate.errors import DatabaseUnavailable
from sisgate.ledger import acceptance, migrate
from sisgate.ledger.database import Database, try_writing
from testbed.pooler import Pooler
from testbed.postgres import PostgresServer
from tests.contract.ledger.rows import NOW, new_job

NAME = "Adalovelace"


class Admin:
    """A superuser beside the ledger."""

    def __init__(self, url: str) -> None:
        self.name = make_url(url).database or ""
        self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)

    def run(self, statement: str, **names: str) -> None:
        """Run a statement; `{db}` is the ledger's name."""
        parts = {name: sql.Identifier(value) for name, value in names.items()}
        self._connection.execute(sql.SQL(statement).format(db=sql.Identifier(self.name), **parts))

    def end_others(self) -> None:
        """End all other connections, as a stopping server does."""
        self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def admin(postgres_url: str) -> Iterator[Admin]:
    """The superuser of an empty database of this test's own."""
    made = Admin(postgres_url)
    yield made
    made.close()


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """The ledger in it, with one connection."""
    made = database_at(postgres_url)
    migrate.upgrade(made)
    yield made
    made.dispose()


def database_at(url: str) -> Database:
    """Return a ledger that audits."""
    made = Database(url, pool_size=1)
    made.commit_hook = Writers(lambda: KeyRing([AuditKey(bytes(32))]), SystemClock())
    return made


def test_after_a_failover_writes_are_refused_until_the_url_leads_to_the_primary(
    database: Database, admin: Admin
) -> None:
    """Reads go on, and the connections to the old server are left behind."""
    try_writing(database, NOW)
    admin.run("ALTER DATABASE {db} SET default_transaction_read_only = on")
    admin.end_others()
    with pytest.raises(DatabaseUnavailable, match="takes no writes"):
        try_writing(database, NOW)
    with database.read() as session:
        assert session.scalar(text("SELECT 1")) == 1
    with pytest.raises(DatabaseUnavailable, match="takes no writes"):
        try_writing(database, NOW)
    admin.run("ALTER DATABASE {db} SET default_transaction_read_only = off")
    try_writing(database, NOW)
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM controls")) == 0


def test_a_connection_that_the_server_ends_is_one_clear_error(
    database: Database, admin: Admin
) -> None:
    """In the middle of a transaction; the next one has a new connection."""

    def accept_around_the_end() -> None:
        with database.write() as session:
            acceptance.accept(session, new_job(), NOW)
            admin.end_others()
            acceptance.accept(session, new_job(), NOW)

    with pytest.raises(DatabaseUnavailable, match="cannot be used"):
        accept_around_the_end()
    try_writing(database, NOW)


def test_a_statement_that_takes_too_long_is_one_clear_error(
    database: Database, admin: Admin
) -> None:
    """It names the setting that ended it."""
    admin.run("ALTER DATABASE {db} SET statement_timeout = '20ms'")
    database.dispose()
    with pytest.raises(DatabaseUnavailable, match="statement_timeout"), database.read() as session:
        session.execute(text("SELECT pg_sleep(60)"))


def test_a_process_that_stands_still_in_a_transaction_gives_up_its_locks(
    database: Database, admin: Admin, postgres_url: str
) -> None:
    """As one that was frozen. The others go on, and it is told why when it wakes."""
    admin.run("ALTER DATABASE {db} SET idle_in_transaction_session_timeout = '20ms'")
    database.dispose()
    other = database_at(postgres_url)
    lock = text("LOCK TABLE controls")

    def stand_still() -> None:
        with database.write() as session:
            session.execute(lock)
            with other.write() as another:
                another.execute(lock)
            session.execute(lock)

    try:
        with pytest.raises(DatabaseUnavailable, match="idle_in_transaction_session_timeout"):
            stand_still()
    finally:
        other.dispose()
    try_writing(database, NOW)


def test_all_connections_taken_is_one_clear_error(
    database: Database, admin: Admin, postgres_url: str
) -> None:
    """Those of the server, and those of the process. A user without rights is told apart."""
    role = f"{admin.name}_app"
    admin.run("CREATE ROLE {role} LOGIN CONNECTION LIMIT 1", role=role)
    url = make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
    first, second = database_at(url), database_at(url)
    try:
        with pytest.raises(DatabaseUnavailable, match="lacks rights"):
            try_writing(first, NOW)
        with first.engine.connect(), pytest.raises(DatabaseUnavailable, match="max_connections"):
            try_writing(second, NOW)
    finally:
        first.dispose()
        second.dispose()
        admin.run("DROP ROLE {role}", role=role)


def test_a_ledger_without_tables_says_what_makes_them(postgres_url: str) -> None:
    """Where SQLite has no such table, PostgreSQL has a relation that does not exist."""
    empty = database_at(postgres_url)
    with pytest.raises(DatabaseUnavailable, match="sisgate db upgrade"):
        try_writing(empty, NOW)
    empty.dispose()


def test_a_database_of_another_encoding_is_refused(
    admin: Admin, postgres_server: PostgresServer
) -> None:
    """SQL_ASCII checks nothing, and LATIN1 does not have every name."""
    for encoding in ("SQL_ASCII", "LATIN1"):
        name = f"{admin.name}_{encoding.lower()}"
        made = "CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' ENCODING "
        admin.run(f"{made} '{encoding}'", name=name)
        other = database_at(postgres_server.url(name))
        with pytest.raises(DatabaseUnavailable, match=f"encoded in {encoding}.*UTF8"):
            migrate.upgrade(other)
        with pytest.raises(DatabaseUnavailable, match=f"encoded in {encoding}"):
            try_writing(other, NOW)
        other.dispose()
        admin.run("DROP DATABASE {name}", name=name)


def test_a_mistake_in_a_statement_stays_a_mistake(database: Database) -> None:
    """It must not look like a server that is away."""
    with pytest.raises(ProgrammingError), database.read() as session:
        session.execute(text("SELEC 1"))


LEFT = (
    "SELECT (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors), "
    "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), "
    "(SELECT count(*) FROM pg_settings WHERE source = 'session' AND name NOT IN "
    "('transaction_isolation', 'transaction_read_only', 'transaction_deferrable'))"
)


def left_behind(database: Database) -> set[tuple[int, ...]]:
    """Return what a connection holds after work: prepared statements, cursors, locks, settings."""
    for _ in range(8):
        with database.write() as session:
            acceptance.accept(session, new_job(), NOW)
            session.execute(text("SELECT 1"))
    found = set()
    for begin in (database.read, database.snapshot):
        with begin() as session:
            found.add(tuple(session.execute(text(LEFT)).one()))
    return found


def test_nothing_is_left_behind_in_a_connection_of_a_pooler(
    database: Database, postgres_url: str
) -> None:
    """PgBouncer gives each transaction another connection: no prepared statement, setting or lock.

    psycopg would prepare a statement the fifth time that it is used.
    """
    url = make_url(postgres_url)
    with Pooler(str(url.query["host"])) as pooler:
        user = f"{url.username}@/{url.database}"
        pooled = database_at(f"{url.drivername}://{user}?{pooler.query}")
        assert left_behind(pooled) == {(0, 0, 0, 0)}
        pooled.dispose()


def test_on_a_connection_of_its_own_only_the_hot_path_is_prepared(database: Database) -> None:
    """What every call passes is planned once, and kept until a rollback.

    JIT is off, and locks of others are waited for with an end.
    """
    assert max(left_behind(database)) == (1, 0, 0, 2)


def test_an_upgrade_that_dies_leaves_no_lock(postgres_url: str, admin: Admin) -> None:
    """Two at once, one of which is ended in the middle: the other one makes the tables."""
    ended, made = database_at(postgres_url), database_at(postgres_url)
    connection = ended.engine.connect()
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": migrate.UPGRADE_LOCK})
    upgrading = threading.Thread(target=lambda: migrate.upgrade(made))
    upgrading.start()
    connection.invalidate()
    upgrading.join(60)
    assert migrate.current(made) == migrate.newest()
    ended.dispose()
    made.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO datasets (provider, resource, newest_id) VALUES ('x', NULL, :name)",
        "SELECT CAST(:name AS integer)",
        "SELECT CAST(:name AS json)",
        "SELECT CAST(:name AS timestamptz)",
    ],
)
def test_no_error_quotes_a_row_or_a_value(database: Database, statement: str) -> None:
    """Whatever shows its traceback: the row that a constraint refuses is a student's."""
    with pytest.raises(DBAPIError) as raised, database.write() as session:
        session.execute(text(statement), {"name": NAME})
    told = "".join(traceback.format_exception(raised.value))
    assert "psycopg.errors." in told
    assert NAME not in told
