"""A ledger with all its tables, empty, on each kind of database."""

from tests.contract.ledger.conftest import database

__all__ = ["database"]
