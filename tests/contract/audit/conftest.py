"""A ledger with all its tables, and a log in it that several writers write."""

import pytest

from sisgate.ledger.database import Database
from testbed.audit_book import Book


@pytest.fixture
def book(database: Database) -> Book:
    """An empty log."""
    return Book(database)


@pytest.fixture
def full_book(book: Book) -> Book:
    """A log of 3 writers and 6 seals with an unsealed end."""
    book.fill(seals=6, events=4)
    return book
