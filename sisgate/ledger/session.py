"""A transaction's session, which is made an ORM session only if it is used as one.

What every call passes needs a connection and no objects (`sisgate.ledger.prepared`); to create and
close SQLAlchemy's session takes longer than its statements.
"""

from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session


class LedgerSession(Session):
    """One transaction on one connection, which is taken with the first statement.

    SQLAlchemy's events of a session's commit are sent whether or not the ORM is used.
    """

    def __init__(self, engine: Engine, info: dict[Any, Any]) -> None:
        self._engine = engine
        self._core: Connection | None = None
        self._is_complete = False
        self.info = info

    def __getattr__(self, name: str) -> Any:
        """Become an ORM session when its state is first asked for."""
        if self._is_orm or name.startswith("__"):
            raise AttributeError(name)
        super().__init__(self.connection(), expire_on_commit=False)
        return getattr(self, name)

    @property
    def _is_orm(self) -> bool:
        return "identity_map" in self.__dict__

    def connection(self, *_: Any, **__: Any) -> Connection:
        """Return the connection, within its transaction."""
        if self._core is None:
            self._core = self._engine.connect()
        # Also after a rollback. Who asks after the commit must not take the ledger's lock again.
        if not self._core.in_transaction() and not self._is_complete:
            self._core.begin()
        return self._core

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        """Return the connection: there is one for all tables."""
        return self.connection()

    def rollback(self) -> None:
        """Undo what was done so far."""
        if self._is_orm:
            super().rollback()
        if self._core is not None:
            self._core.rollback()

    def complete(self) -> None:
        """Commit."""
        self.dispatch.before_commit(self)
        if self._is_orm:
            self.flush()
        if self._core is not None:
            self._core.commit()
        self._is_complete = True
        self.dispatch.after_commit(self)

    def dismiss(self) -> None:
        """Return the connection; what was not committed is undone."""
        if self._is_orm:
            self.close()
        if self._core is not None:
            self._core.close()
