"""What SQLAlchemy leaves to be said at each place: upserts of both databases, counts of rows."""

from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Delete,
    Float,
    Select,
    Update,
    func,
    inspect,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from sisgate.ledger.schema import Base

Row = TypeVar("Row", bound=Base)


def insert_into(session: Session, table: type[Base]) -> Any:
    """Return the session's own kind of INSERT, which has `on_conflict_do_nothing` and the like.

    The two kinds are alike and share no type.
    """
    return postgresql.insert(table) if is_postgresql(session) else sqlite.insert(table)


def lock_or_make(session: Session, table: type[Row], **values: Any) -> Row:
    """Return the row of this primary key, locked until the transaction ends.

    Where there is none it is made of `values`. Any number may ask at once.
    """
    key = [column == values[str(column.key)] for column in inspect(table).primary_key]
    query = select(table).where(*key).with_for_update()
    query = query.execution_options(populate_existing=True)
    if (row := session.scalars(query).one_or_none()) is not None:
        return row
    session.execute(insert_into(session, table).values(**values).on_conflict_do_nothing())
    return session.scalars(query).one()


def change(session: Session, statement: Update | Delete) -> int:
    """Execute an UPDATE or DELETE; return the number of rows that it met.

    Objects that the session has loaded are left as they are.
    """
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount


def count(session: Session, query: Select[Any]) -> int:
    """Return how many rows a query has."""
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def identity_of(row: Base) -> tuple[Any, ...]:
    """Return the primary key by which `Session.get` finds a row."""
    identity = inspect(row).identity
    assert identity is not None, "it was read"
    return identity


def is_postgresql(session: Session) -> bool:
    """Return whether the transaction is one of PostgreSQL, and not of SQLite."""
    return session.get_bind().dialect.name == "postgresql"


def seconds_between(session: Session, begin: Any, end: Any) -> ColumnElement[float]:
    """Return the expression of the seconds from one column of times to another."""
    if is_postgresql(session):
        return type_coerce(func.extract("epoch", end - begin), Float())
    return (func.julianday(end) - func.julianday(begin)) * 86_400
