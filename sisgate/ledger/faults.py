"""Which database errors mean that the ledger cannot be used, and their remedies. Pure."""

from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

UPGRADE = "Run `sisgate db upgrade` first."
READ_ONLY = (
    "The server takes no writes: after a failover it may be a standby now. Let the URL lead to the "
    "primary, or name all hosts and add target_session_attrs=read-write to it."
)

CURES = {
    "08006": "It restarted, or this process stood still within a transaction for longer than its "
    "idle_in_transaction_session_timeout: its log says which. Work goes on with a new connection.",
    "08": "",
    "25006": READ_ONLY,
    "25P03": "This process stood still within a transaction, perhaps frozen, and was cut off by "
    "idle_in_transaction_session_timeout; work goes on with a new connection.",
    "28": "Check user and password in SISGATE_DATABASE_URL.",
    "3D000": "Create the database with ENCODING 'UTF8', then run `sisgate db upgrade`.",
    "3F000": UPGRADE,
    "40": "",
    "42501": "Its user lacks rights on the tables: let it own them.",
    "42703": UPGRADE,
    "42P01": UPGRADE,
    "53100": "Its disk is full: make room.",
    "53300": "Raise max_connections, use fewer processes, or put PgBouncer between.",
    "55P03": "Somebody else holds a lock on its tables, such as a migration or a shell: see "
    "pg_locks.",
    "57014": "It cut a statement short: its statement_timeout may be too small.",
    "57P": "It is restarting or stopping; work resumes when it is back.",
    "58": "",
    "readonly": "Its file or its disk takes no writes: look at their rights, and whether the disk "
    "was mounted read-only after an error.",
    "XX": "Its files may be damaged: see its log.",
}
"""What helps, by the beginnings of PostgreSQL's SQLSTATE codes (appendix A, version 17)."""

WORDS = {
    "too many c": "53300",
    "connection slots": "53300",
    "password": "28",
    "no pg_hba.conf entry": "28",
    "database system is": "57P",
    "read-only": "25006",
    "readonly": "readonly",
    "disk is full": "53100",
    # The server said why, but was gone before libpq had read it.
    "server closed the connection": "08006",
    "no such table": "42P01",
    "no such column": "42703",
}
"""Texts in errors without a code: SQLite's, and those of failed connections."""

STALE = ("25006", "57P")
"""After these the pool's other connections lead to the wrong server, or to none, as well."""

OF_VALUES = ("22", "23")
"""Errors of a value or of a constraint, whose texts quote what was to be stored."""


def cure_of(error: Exception) -> str | None:
    """Return the remedy if the database itself cannot be used, '' if none is needed.

    None: the statement was wrong, which is a mistake of ours.
    """
    if isinstance(error, PoolTimeout):
        return "All connections of this process are in use."
    if not isinstance(error, DBAPIError):
        return None
    text = str(error.orig)
    if "connection option" in text and isinstance(error, ProgrammingError):
        return "Correct the parameters in SISGATE_DATABASE_URL."
    state = sqlstate_of(error)
    if not state and isinstance(error, OperationalError):
        is_missing = 'database "' in text and "does not exist" in text
        state = "3D000" if is_missing else next((WORDS[w] for w in WORDS if w in text), "")
    found = next((cure for code, cure in CURES.items() if state.startswith(code)), None)
    if found is not None:
        return found
    # SQLAlchemy sorts by class of error, which does not tell apart all that matters.
    if isinstance(error, OperationalError):
        return ""
    # SQLite names a damaged file so, PostgreSQL nothing.
    if isinstance(error, InterfaceError) or type(error) is DatabaseError:
        return ""
    return "" if error.connection_invalidated else None


def sqlstate_of(error: DBAPIError) -> str:
    """Return PostgreSQL's code, '' where there is none."""
    return getattr(error.orig, "sqlstate", None) or ""
