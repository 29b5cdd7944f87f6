"""Columns of sealed texts: which master keys sealed them, and replacing them.

A sealed text begins with a byte for its format and the id of its master key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from sisgate.ledger.schema import Base
from sisgate.ledger.statements import change, count


@dataclass(frozen=True, eq=False)
class SealedColumn:
    """One column of sealed texts. `context` names the place of a row as its writer did."""

    table: type[Base]
    key: InstrumentedAttribute[Any]
    column: InstrumentedAttribute[Any]
    context: Callable[[Any], str]
    first_context: Callable[[Any], str] | None = None

    @property
    def name(self) -> str:
        """Table and column."""
        return f"{self.table.__tablename__}.{self.column.key}"

    def masters(self, session: Session, id_bytes: int) -> list[tuple[bytes, int]]:
        """Return the ids of the master keys, each with the number of its texts."""
        master = func.substr(self.column, 2, id_bytes)
        query = select(master, func.count()).where(func.length(self.column) > id_bytes)
        return [(bytes(row[0]), row[1]) for row in session.execute(query.group_by(master))]

    def count_others(self, session: Session, header: bytes) -> int:
        """Return how many texts have another header."""
        return count(session, select(self.key).where(self._has_other(header)))

    def others(self, session: Session, header: bytes, after: str, limit: int) -> Sequence[Base]:
        """Return rows whose text has another header, in order of their keys from `after` on."""
        query = select(self.table).where(self._has_other(header), self.key > after)
        return session.scalars(query.order_by(self.key).limit(limit)).all()

    def replace(self, session: Session, row: Base, new: bytes) -> int:
        """Replace the text of a row that was read without a lock; return 0 if it has changed."""
        key, old = getattr(row, self.key.key), getattr(row, self.column.key)
        unchanged = update(self.table).where(self.key == key, self.column == old)
        return change(session, unchanged.values({self.column: new}))

    def _has_other(self, header: bytes) -> Any:
        own = func.substr(self.column, 1, len(header))
        return (func.length(self.column) >= len(header)) & (own != header)
