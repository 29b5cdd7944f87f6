"""Inserting where a row may be there already, which SQLAlchemy has for each database apart."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from sisgate.ledger.schema import Base

Row = TypeVar("Row", bound=Base)


def insert_into(session: Session, table: type[Base]) -> Any:
    """Return the session's own kind of INSERT, which has `on_conflict_do_nothing` and the like.

    The two kinds are alike and share no type.
    """
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert(table) if is_postgresql else sqlite.insert(table)


def lock_or_make(session: Session, table: type[Row], **values: Any) -> Row:
    """Return the row of this primary key, locked until the transaction ends.

    Where there is none it is made of `values`. Any number may ask at once.
    """
    session.execute(insert_into(session, table).values(**values).on_conflict_do_nothing())
    key = [column == values[str(column.key)] for column in inspect(table).primary_key]
    query = select(table).where(*key).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()
