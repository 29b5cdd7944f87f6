"""The version of the ledger's tables, and bringing them to that of the code."""

from __future__ import annotations

from dataclasses import dataclass

from sisgate.access.policy import Action
from sisgate.gateway.core import Core


@dataclass(frozen=True)
class LedgerVersion:
    """Where the ledger is, the version of its tables (None without any) and that of the code."""

    database: str
    version: str | None
    newest: str

    @property
    def is_newest(self) -> bool:
        """Whether the tables are those of the code."""
        return self.version == self.newest


class Ledger:
    """For whoever runs this process. Methods raise `DatabaseUnavailable`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def version(self) -> LedgerVersion:
        """Return the version of the tables."""
        from sisgate.ledger import migrate  # alembic takes its time, and this is rarely asked

        self._core.require_unless_local(Action.LOOK)
        database = self._core.database
        return LedgerVersion(database.address, migrate.current(database), migrate.newest())

    def upgrade(self) -> bool:
        """Run the missing migrations; return whether there were any. Safe from many places."""
        from sisgate.ledger import migrate

        self._core.require_unless_local(Action.ADMINISTER)
        return migrate.upgrade(self._core.database)
