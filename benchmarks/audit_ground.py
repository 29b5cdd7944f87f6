"""What the measurements of the audit log stand on: empty ledgers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.postgres import PostgresServer

ENGINES = ("sqlite", "postgresql")


@contextmanager
def ledger_of(postgres: PostgresServer, engine: str) -> Iterator[tuple[Path, str]]:
    """Give a folder and the URL of an empty database of a kind."""
    with tempfile.TemporaryDirectory(prefix="sisgate-bench-") as folder:
        if engine == "sqlite":
            yield Path(folder), f"sqlite:///{folder}/sisgate.db"
            return
        name = postgres.create_database()
        try:
            yield Path(folder), postgres.url(name)
        finally:
            postgres.drop_database(name)
