"""The version of the ledger's tables, and upgrading them."""

from dataclasses import dataclass

from sisgate.access.policy import Action
from sisgate.gateway.core import Core


@dataclass(frozen=True)
class LedgerVersion:
    """The ledger's address, the version of its tables (None without any), and the code's."""

    database: str
    version: str | None
    newest: str

    @property
    def is_newest(self) -> bool:
        """Whether the tables match the code."""
        return self.version == self.newest


class Ledger:
    """For the user of this process. Methods raise `DatabaseUnavailable`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def version(self) -> LedgerVersion:
        """Return the version of the tables."""
        from sisgate.ledger import migrate  # alembic is slow to import and rarely needed

        self._core.require_unless_local(Action.LOOK)
        database = self._core.database
        return LedgerVersion(database.address, migrate.current(database), migrate.newest())

    def upgrade(self) -> bool:
        """Run missing migrations; return whether there were any. Safe to run concurrently."""
        from sisgate.ledger import migrate

        self._core.require_unless_local(Action.ADMINISTER)
        return migrate.upgrade(self._core.database)
