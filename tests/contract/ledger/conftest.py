"""A ledger with all its tables, empty, on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sisgate.ledger import migrate
from sisgate.ledger.database import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The ledger."""
    made = Database(database_url, pool_size=10)
    migrate.upgrade(made)
    yield made
    made.dispose()
