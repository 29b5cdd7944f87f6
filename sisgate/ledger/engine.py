"""Engines: how a connection to SQLite or PostgreSQL is opened, and begins a transaction."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    DateTime,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import DBAPIError

from sisgate.errors import DatabaseUnavailable
from sisgate.ledger.faults import OF_VALUES, STALE, sqlstate_of
from sisgate.ledger.schema import serialise_json
from sisgate.ledger.write_lock import BUSY_TIMEOUT_MS, begin_writing
from sisgate.start_up import extra_of, missing_extra

ONLY_WHEN_ASKED = 2**31
"""After so many runs psycopg prepares a statement without being asked to (`ledger.prepared`)."""


def engine_of(url: str, pool_size: int, *, must_exist: bool = False) -> Engine:
    """Return an engine that opens its connections as the ledger needs them; it connects later.

    A SQLite file that is not there is created, unless `must_exist`.
    """
    parsed = make_url(url)
    options: dict[str, Any] = {
        "json_serializer": serialise_json,
        # The parameters of a failed statement are students: they must not reach a traceback.
        "hide_parameters": True,
    }
    if parsed.get_backend_name() == "sqlite":
        if not must_exist:
            make_private(parsed.database)
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
        event.listen(engine, "handle_error", _quote_no_value)
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
    the server expects a page to be much work, and compiling took longer than all of it. A lock
    that somebody else holds is waited for as long as that of SQLite, and then told of.

    PgBouncer in transaction mode gives each transaction another of the server's connections, so
    nothing may be left behind in one. It shows a process id of its own.
    """
    process = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
    connection.rollback()
    if process == connection.info.backend_pid:
        connection.prepare_threshold = ONLY_WHEN_ASKED
        connection.execute(f"SET jit = off; SET lock_timeout = {BUSY_TIMEOUT_MS}")
        connection.commit()


def _leave_stale_connections(context: ExceptionContext) -> None:
    error = context.sqlalchemy_exception
    if isinstance(error, DBAPIError) and sqlstate_of(error).startswith(STALE):
        context.is_disconnect = True


def _quote_no_value(context: ExceptionContext) -> None:
    """Keep what is wrong; what PostgreSQL adds is the row, or a value: a student's."""
    error = context.sqlalchemy_exception
    if isinstance(error, DBAPIError) and sqlstate_of(error).startswith(OF_VALUES):
        for each in (error, context.original_exception):
            line = str(each.args[0]).partition("\n")[0] if each.args else ""
            each.args = (line.partition(': "')[0],)


def make_private(file: str | None) -> None:
    """Create a SQLite file, where its folder exists and the file does not.

    It holds student data: only its owner may read it, whatever the umask is.
    """
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


def is_sqlite(url: str) -> bool:
    """Return whether a URL names a SQLite file."""
    return make_url(url).get_backend_name() == "sqlite"


def read_clock(url: str) -> datetime | None:
    """Return the time of a PostgreSQL, by a connection of its own; None if it cannot be had."""
    engine = engine_of(url, 1)
    try:
        with engine.connect() as connection:
            return connection.scalar(select(func.clock_timestamp(type_=DateTime(timezone=True))))
    except DBAPIError:
        return None
    finally:
        engine.dispose()
