"""Which errors of a database mean that it cannot be used."""

import sqlite3

import pytest
from sqlalchemy import exc

from sisgate.ledger.faults import cure_of

SQLITE = [
    (exc.OperationalError, sqlite3.OperationalError("no such table: jobs"), "db upgrade"),
    (exc.OperationalError, sqlite3.OperationalError("attempt to write a readonly database"), ""),
    (exc.OperationalError, sqlite3.OperationalError("database or disk is full"), ""),
    (exc.DatabaseError, sqlite3.DatabaseError("database disk image is malformed"), ""),
    (exc.DatabaseError, sqlite3.DatabaseError("file is not a database"), ""),
]
CONNECTING = [
    ('FATAL:  database "sis" does not exist', "Create the database"),
    ('FATAL:  password authentication failed for user "x"', "Check user and password"),
    ("FATAL:  sorry, too many clients already", "max_connections"),
    ("FATAL:  remaining connection slots are reserved for roles", "max_connections"),
    ("FATAL:  the database system is starting up", "resumes when it is back"),
    ("FATAL:  the database system is shutting down", "resumes when it is back"),
    ("could not translate host name", ""),
    ("consuming input failed: server closed the connection unexpectedly", "its log says which"),
]


@pytest.mark.parametrize(("kind", "cause", "cure"), SQLITE, ids=[str(c) for _, c, _ in SQLITE])
def test_a_file_that_cannot_be_used(
    kind: type[exc.DBAPIError], cause: Exception, cure: str
) -> None:
    """SQLite has words, and no codes."""
    assert cure in (cure_of(kind("SELECT", {}, cause)) or "")
    assert cure_of(kind("SELECT", {}, cause)) is not None


@pytest.mark.parametrize(("said", "cure"), CONNECTING, ids=[said for said, _ in CONNECTING])
def test_a_connection_that_cannot_be_made(said: str, cure: str) -> None:
    """Psycopg gives these no code."""
    error = exc.OperationalError("", {}, Exception(said))
    found = cure_of(error)
    assert found is not None
    assert cure in found


def test_an_unknown_parameter_of_the_url_is_told() -> None:
    """Psycopg takes it for a mistake of the program."""
    cause = Exception('invalid connection option "bogus"')
    assert "SISGATE_DATABASE_URL" in (cure_of(exc.ProgrammingError("", {}, cause)) or "")


def test_what_is_our_mistake_is_no_trouble_of_the_database() -> None:
    """A wrong statement or a broken constraint is a defect to be seen."""
    assert cure_of(exc.IntegrityError("", {}, Exception("UNIQUE"))) is None
    assert cure_of(exc.ProgrammingError("", {}, Exception("syntax error"))) is None
    assert cure_of(ValueError()) is None
