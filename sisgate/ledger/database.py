"""The connection to the ledger: one engine, short transactions, clear errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import (
    Connection,
    DateTime,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    func,
    insert,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from sisgate.clock import Clock, ReferenceClock
from sisgate.errors import DatabaseUnavailable
from sisgate.ledger.faults import STALE, cure_of, sqlstate_of
from sisgate.ledger.schema import Control, serialise_json
from sisgate.ledger.session import LedgerSession
from sisgate.ledger.write_lock import BUSY_TIMEOUT_MS, begin_writing
from sisgate.start_up import extra_of, missing_extra

ONLY_WHEN_ASKED = 2**31
"""After so many runs psycopg prepares a statement without being asked to (`ledger.prepared`)."""

COMMIT_HOOK = "sisgate.commit_hook"
"""Where a session's `info` has the hook of its database."""


class CommitHook(Protocol):
    """What takes part in every commit of a `Database`."""

    def before_commit(self, session: Session) -> None:
        """Add to the transaction. What it raises rolls the transaction back."""
        ...

    def settled(self, session: Session, *, is_committed: bool) -> None:
        """Hear how it ended. Not committed also means that nobody knows."""
        ...


class Database:
    """SQLite or PostgreSQL behind two kinds of transaction, `read` and `write`.

    Both give a `Session`, commit at the end and roll back on any error. A connection that cannot
    be made or is lost raises `DatabaseUnavailable`. Make it after a fork, never before.

    `commit_hook` may add to each transaction before its commit, and is told how that ended.
    A SQLite file that is not there is created, unless `must_exist`: then it is unavailable.
    """

    def __init__(self, url: str, *, pool_size: int = 5, must_exist: bool = False) -> None:
        self.engine = _engine(url, pool_size, must_exist=must_exist)
        self._writing = self.engine.execution_options(sisgate_writes=True)
        self.commit_hook: CommitHook | None = None
        self._one_writer: AbstractContextManager[Any] = (
            threading.RLock() if self.is_sqlite else nullcontext()
        )
        self._before_writing: Callable[[], object] = lambda: None

    @property
    def is_sqlite(self) -> bool:
        """Whether the ledger is one SQLite file."""
        return self.engine.dialect.name == "sqlite"

    @property
    def address(self) -> str:
        """Where the ledger is, without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that does not write; it sees one state throughout on SQLite."""
        with self._transaction(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that writes; on SQLite it takes the write lock at once.

        Taking it at the first write instead would fail with "database is locked" whenever
        another writer came between this transaction's first read and its first write.
        """
        # SQLite has one writer. The threads of a process queue here, and one tries (`write_lock`).
        self._before_writing()
        with self._one_writer, self._transaction(self._writing) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A transaction that does not write and sees one state throughout, however long it is."""
        engine = self.engine
        if not self.is_sqlite:
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with self._transaction(engine) as session:
            yield session

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Session]:
        hook, is_committed = self.commit_hook, False
        session = LedgerSession(engine, {COMMIT_HOOK: hook})
        with self.explained():
            try:
                yield session
                if hook is not None:
                    hook.before_commit(session)
                session.complete()
                is_committed = True
            finally:
                try:
                    session.dismiss()
                finally:
                    if hook is not None:
                        hook.settled(session, is_committed=is_committed)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise `DatabaseUnavailable` with the reason where the ledger cannot be used."""
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            if cure_of(error) is None:
                raise
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> DatabaseUnavailable:
        reason = str(getattr(error, "orig", error)).strip().splitlines() or ["no reason given"]
        cure = cure_of(error)
        return DatabaseUnavailable(
            f"The database at {self.address} cannot be used: {reason[0].rstrip('.')}. "
            f"Nothing was accepted.{f' {cure}' if cure else ''}"
        )

    def show_time(self, clock: Clock) -> None:
        """Let a clock that goes by this database's read it, with transactions that are made anyway.

        Every half minute or so one of them takes two round trips more. SQLite has no clock: before
        its transactions the clock is asked itself, since a Redis that is slow must not be waited
        for under the one write lock.
        """
        if not isinstance(clock, ReferenceClock):
            return
        if self.is_sqlite:
            self._before_writing = clock.refresh
        reader: Callable[..., None] = _ClockReader(clock, self.engine.dialect.dbapi)
        event.listen(
            self.engine, "checkout", reader if not self.is_sqlite else lambda *_: clock.refresh()
        )

    def create_file(self) -> None:
        """Create the file of a SQLite ledger, where its folder exists and the file does not."""
        if self.is_sqlite:
            _make_private(self.engine.url.database)

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _engine(url: str, pool_size: int, *, must_exist: bool = False) -> Engine:
    parsed = make_url(url)
    options: dict[str, Any] = {
        "json_serializer": serialise_json,
        # The parameters of a failed statement are students: they must not reach a traceback.
        "hide_parameters": True,
    }
    if parsed.get_backend_name() == "sqlite":
        if not must_exist:
            _make_private(parsed.database)
        # isolation_level None hands BEGIN to us; the driver would begin too late.
        options["connect_args"] = {"isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000}
    else:
        options |= {"pool_size": pool_size, "max_overflow": pool_size, "pool_pre_ping": True}
        options["connect_args"] = {
            "connect_timeout": 5,
            "application_name": "sisgate",
            "client_encoding": "utf8",
            "prepare_threshold": None,  # see `_adapt_if_direct`
        }
    try:
        engine = create_engine(parsed, **options)
    except ModuleNotFoundError as error:
        if extra_of(error.name) is None:
            raise
        raise missing_extra("postgres", "A ledger in PostgreSQL") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        if must_exist:
            event.listen(engine, "do_connect", _refuse_to_create)
    else:
        _begin_for_ping(engine.dialect)
        event.listen(engine, "connect", _refuse_other_encodings)
        event.listen(engine, "connect", _adapt_if_direct)
        event.listen(engine, "handle_error", _leave_stale_connections)
    return engine


def _begin_for_ping(dialect: Any) -> None:
    """Let a transaction's BEGIN find out whether a pooled connection still leads anywhere.

    The pool asks before it hands out a connection, replaces a dead one and asks the next. psycopg
    would send BEGIN with the first statement in any case, so asking costs no round trip.
    """
    set_level, done = dialect.set_isolation_level, dialect.dbapi.pq.ExecStatus.COMMAND_OK

    def ping(connection: Any) -> bool:
        # By libpq: `execute` would send a BEGIN of its own before this one.
        if connection.pgconn.exec_(b"BEGIN").status != done:
            raise dialect.dbapi.OperationalError(connection.pgconn.get_error_message())
        return True

    def set_isolation_level(connection: Any, level: str) -> None:
        connection.rollback()  # else a level cannot be set
        set_level(connection, level)

    dialect.do_ping, dialect.set_isolation_level = ping, set_isolation_level


def _refuse_other_encodings(connection: Any, _record: Any) -> None:
    # The server says it unasked at each connect. Others cannot hold every name, or check nothing.
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise DatabaseUnavailable(
            f"The database {connection.info.dbname} is encoded in {encoding}, which cannot hold "
            "every name. Nothing was accepted. Create one with ENCODING 'UTF8' TEMPLATE template0."
        )


def _adapt_if_direct(connection: Any, _record: Any) -> None:
    """Adapt a connection to short statements, if nothing stands between us and the server.

    Those of the hot path may be prepared, and none is compiled to machine code: without statistics
    the server expects a page to be much work, and compiling took longer than all of it.

    PgBouncer in transaction mode gives each transaction another of the server's connections, so
    nothing may be left behind in one. It shows a process id of its own.
    """
    process = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
    connection.rollback()
    if process == connection.info.backend_pid:
        connection.prepare_threshold = ONLY_WHEN_ASKED
        connection.execute("SET jit = off")
        connection.commit()


def _leave_stale_connections(context: ExceptionContext) -> None:
    error = context.sqlalchemy_exception
    if isinstance(error, DBAPIError) and sqlstate_of(error).startswith(STALE):
        context.is_disconnect = True


def _make_private(file: str | None) -> None:
    # It holds student data: only its owner may read it, whatever the umask is.
    if file and file != ":memory:" and Path(file).parent.is_dir():
        Path(file).touch(mode=0o600)


def _refuse_to_create(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
    file = Path(arguments[0])
    if not file.exists():
        raise DatabaseUnavailable(
            f"There is no database at {file} yet. Start sisgate with `sisgate up`, or name its "
            "data folder with --data-dir."
        )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # FULL: a commit that was acknowledged survives a power cut, also in WAL mode.
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-16000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("sisgate_writes", False)
    if writes:
        begin_writing(connection)
    else:
        connection.exec_driver_sql("BEGIN")


class _ClockReader:
    """Reads the database's clock on a connection that was just taken, before its transaction."""

    def __init__(self, clock: ReferenceClock, driver: Any) -> None:
        self._clock = clock
        self._driver = driver

    def __call__(self, connection: Any, _record: Any, _proxy: Any) -> None:
        if not self._clock.is_due:
            return
        # What is wrong with the connection is told by the transaction that it was taken for.
        with suppress(self._driver.Error):
            begun = self._clock.monotonic()
            with connection.cursor() as cursor:
                cursor.execute("SELECT clock_timestamp()")
                (theirs,) = cursor.fetchone()
            connection.rollback()
            self._clock.note(theirs, begun)


def is_sqlite(url: str) -> bool:
    """Return whether a URL names a SQLite file."""
    return make_url(url).get_backend_name() == "sqlite"


def read_clock(url: str) -> datetime | None:
    """Return the time of a PostgreSQL, by a connection of its own; None if it cannot be had."""
    engine = _engine(url, 1)
    try:
        with engine.connect() as connection:
            return connection.scalar(select(func.clock_timestamp(type_=DateTime(timezone=True))))
    except DBAPIError:
        return None
    finally:
        engine.dispose()


class _UndoneError(Exception):
    """Rolls a transaction back."""


def try_writing(database: Database, now: datetime) -> None:
    """Raise `DatabaseUnavailable` unless the ledger takes a row; it is taken back at once."""
    # No provider can have this name.
    row = {"provider": "sisgate", "paused": False, "changed_at": now}
    with suppress(_UndoneError), database.write() as session:
        session.execute(insert(Control).values(row))
        raise _UndoneError


def ping(database: Database) -> None:
    """Raise `DatabaseUnavailable` unless the ledger answers."""
    with database.read() as session:
        session.execute(text("SELECT 1"))
