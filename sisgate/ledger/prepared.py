"""Statements of the hot path: rendered once for each kind of database, then only given values.

SQLAlchemy goes through a statement at each run to find what it has rendered before, which costs
more than all the rest. A prepared one keeps the text, and how each value is written and read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import BindParameter, ClauseElement, Connection, Dialect, bindparam
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

_PREFIX = "p_"
"""A parameter may not have the name of a column that is set."""


def given(name: str, type_: TypeEngine[Any] | None = None) -> BindParameter[Any]:
    """Return the place of a value that is given at each run."""
    return bindparam(_PREFIX + name, type_=type_)


class Prepared:
    """A statement as `build` makes it, once for PostgreSQL (True) and once for SQLite.

    Its values are either `given` or literals. No defaults of columns are filled in.
    `is_planned_anew` is for a statement whose best plan changes while a table grows.
    """

    def __init__(
        self, build: Callable[[bool], ClauseElement], *, is_planned_anew: bool = False
    ) -> None:
        self._build = build
        self._keeps_plan = not is_planned_anew
        self._rendered: dict[str, _Rendered] = {}

    def run(self, session: Session, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return the rows that it selects, or that are returned."""
        connection = session.connection()
        rendered = self._on(connection.dialect)
        parameters = rendered.parameters(values)
        with _executed(connection, rendered.text, parameters, self._keeps_plan) as cursor:
            return rendered.read(cursor.fetchall()) if rendered.returns_rows else []

    def run_each(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each of the rows of values, at once."""
        connection = session.connection()
        rendered = self._on(connection.dialect)
        parameters = [rendered.parameters(values) for values in rows]
        is_one = len(parameters) == 1
        with _executed(connection, rendered.text, parameters[0] if is_one else parameters):
            pass

    def _on(self, dialect: Dialect) -> _Rendered:
        rendered = self._rendered.get(dialect.name)
        if rendered is None:
            statement = self._build(dialect.name == "postgresql")
            rendered = self._rendered[dialect.name] = _Rendered(statement, dialect)
        return rendered


@contextmanager
def _executed(
    connection: Connection, text: str, parameters: Any, keeps_plan: bool = True
) -> Iterator[Any]:
    """Give the driver's cursor of a statement; SQLAlchemy's result takes longer than the statement.

    Errors are SQLAlchemy's, and whoever listens hears of the statement.
    """
    many = isinstance(parameters, list)
    cursor: Any = connection.connection.cursor()
    told = (connection, cursor, text, parameters, None, many)
    events = (
        connection.dispatch if connection._has_events or connection.engine._has_events else None
    )
    try:
        if events is not None and events.before_cursor_execute:
            events.before_cursor_execute(*told)
        if many:
            cursor.executemany(text, parameters)
        elif connection.dialect.name == "postgresql":
            cursor.execute(text, parameters, prepare=keeps_plan)
        else:
            cursor.execute(text, parameters)
        yield cursor
        if events is not None and events.after_cursor_execute:
            events.after_cursor_execute(*told)
    except connection.dialect.loaded_dbapi.Error as error:
        connection._handle_dbapi_exception(error, text, parameters, cursor, None)
    finally:
        cursor.close()


class _Rendered:
    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._positions: Sequence[str] | None = compiled.positiontup
        writers: Mapping[str, Callable[[Any], Any]] = compiled._bind_processors
        self._constants = {}
        self._given: list[tuple[str, str, Callable[[Any], Any] | None]] = []
        for place, value in compiled.params.items():
            write = writers.get(place)
            if place.startswith(_PREFIX):
                self._given.append((place, place.removeprefix(_PREFIX), write))
            else:
                self._constants[place] = value if write is None else write(value)
        readers = [
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in compiled._result_columns
        ]
        self.returns_rows = bool(readers)
        self._readers = [(place, read) for place, read in enumerate(readers) if read is not None]

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return values as the driver takes them; those that have no place are left out."""
        found = dict(self._constants)
        for place, name, write in self._given:
            found[place] = values[name] if write is None else write(values[name])
        return found if self._positions is None else tuple(found[name] for name in self._positions)

    def read(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Return rows as their types are in Python."""
        found = []
        for row in rows:
            values = list(row)
            for place, read in self._readers:
                values[place] = read(values[place])
            found.append(tuple(values))
        return found
