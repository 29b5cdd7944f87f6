"""What all tables have in common: names of constraints, and types alike on both databases."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit key. SQLite numbers rows by itself only for a column of type INTEGER."""

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


# `json.dumps` would build an encoder for each value.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def serialise_json(value: Any) -> str:
    """Return JSON text of a value; the engine's serialiser."""
    return _encode(value)


class JsonText(TypeDecorator[Any]):
    """JSON in a column of text, for what no query looks into: PostgreSQL need not parse it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        """Write the text."""
        return serialise_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read the text."""
        return None if value is None else json.loads(value)


OpaqueJson = JSON().with_variant(JsonText(), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite keeps no zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; convert the rest to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables, with named constraints so that migrations can find them."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: Json,
        list[Any]: Json,
        bytes: LargeBinary,
    }


def table_of(entity: type[Base]) -> Table:
    """Return the table of a class, for statements without the ORM."""
    table = entity.__table__
    assert isinstance(table, Table)
    return table


def one_of(column: str, values: Iterable[StrEnum]) -> str:
    """Return the SQL of a condition that a column holds one of the values."""
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


def partial_index(
    *columns: str, where: str, sqlite: str | None = None, unique: bool = False
) -> Index:
    """Return an index of the rows that meet a condition; `sqlite` is its form there.

    A query uses it if its own condition implies this one. SQLite must find the very same text.
    """
    return Index(
        None,
        *columns,
        unique=unique,
        sqlite_where=text(sqlite or where),
        postgresql_where=text(where),
    )
