"""Small writes of several threads in one transaction.

A commit costs more than what it commits, and SQLite has one writer. So while one thread commits,
the others queue, and the next of them writes for all: nobody waits for more than two commits, and
alone a write costs what it did.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from sisgate.errors import DatabaseUnavailable
from sisgate.ledger.database import Database

MOST = 100
"""Writes of one transaction."""

Work = Callable[[Session], Any]


class _Write:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.is_done = False
        self.error: Exception | None = None


class GroupedWrites:
    """Writes that do not depend on each other, such as events of the audit log. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Write] = []
        self._adding = threading.Lock()
        self._turn = threading.Lock()

    def write(self, work: Work) -> None:
        """Call `work` with a session, and return once that is committed. Raises what fails it.

        It may be called a second time, in another transaction, if the work of another thread has
        failed the first.
        """
        mine = _Write(work)
        with self._adding:
            self._waiting.append(mine)
        with self._turn:
            if not mine.is_done:
                self._commit(self._batch(mine))
        if mine.error is not None:
            raise mine.error

    def _batch(self, mine: _Write) -> Sequence[_Write]:
        with self._adding:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            if mine not in batch:
                self._waiting = [each for each in self._waiting if each is not mine]
                batch.append(mine)
        return batch

    def _commit(self, batch: Sequence[_Write]) -> None:
        try:
            with self._database.write() as session:
                for each in batch:
                    each.work(session)
        except DatabaseUnavailable as error:
            self._settle(batch, error)
        except Exception as error:  # noqa: BLE001 - handed to the thread whose work it is
            if len(batch) == 1:
                self._settle(batch, error)
                return
            for each in batch:  # one of them is at fault: each by itself
                self._commit([each])
        else:
            self._settle(batch, None)

    def _settle(self, batch: Sequence[_Write], error: Exception | None) -> None:
        for each in batch:
            each.is_done, each.error = True, error
