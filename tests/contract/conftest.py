"""A ledger with all its tables, empty, on each kind of database."""

from collections.abc import Iterator

import pytest

from sisgate.audit.keys import AuditKey, KeyRing
from sisgate.audit.writers import Writers
from sisgate.clock import SystemClock
from sisgate.ledger.database import Database


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    """The ledger."""
    made = Database(ledger_url, pool_size=10)
    made.commit_hook = Writers(lambda: KeyRing([AuditKey(bytes(32))]), SystemClock())
    yield made
    made.dispose()
