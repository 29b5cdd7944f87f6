"""The connection to the ledger: short transactions, clear errors."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Engine, event, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from sisgate.clock import Clock, ReferenceClock
from sisgate.errors import DatabaseUnavailable
from sisgate.ledger.engine import engine_of, make_private
from sisgate.ledger.faults import cure_of
from sisgate.ledger.schema import Control
from sisgate.ledger.session import LedgerSession

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
        self.engine = engine_of(url, pool_size, must_exist=must_exist)
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

    def prove_writable(self) -> None:
        """Commit a change that changes nothing: locks, full disks and standbys let none pass."""
        with self.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = version_num"))

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
            make_private(self.engine.url.database)

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


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
