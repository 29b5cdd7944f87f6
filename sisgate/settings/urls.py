"""The URLs of Redis and of the ledger: what is wrong with one, without repeating its password."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_DRIVERS = {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}


def with_driver(url: str) -> str:
    """Return the ledger's URL, with psycopg 3 as the driver of a plain `postgresql://`."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def broker_problem(url: str) -> str | None:
    """Return what is wrong with a URL of Redis, or None.

    >>> broker_problem("rediss://:secret@redis.test:6380/1")
    >>> broker_problem("foo://:secret@redis.test")
    'write redis:// or rediss://, host, port and the number of the database'
    """
    # Loaded with the first connection anyway, and not by those who make none.
    from redis.connection import parse_url

    words = "write redis:// or rediss://, host, port and the number of the database"
    if not url.startswith(("redis://", "rediss://")):
        return words
    try:
        parse_url(url)
    except (ValueError, TypeError):
        return words
    path = re.sub(r"[?#].*", "", url.partition("://")[2].rpartition("@")[2]).partition("/")[2]
    return None if re.fullmatch(r"[0-9]*", path) else words


def database_problem(url: str) -> str | None:
    """Return what is wrong with a URL of the ledger, or None.

    >>> database_problem("postgresql://me:secret@db.test/sisgate")
    >>> database_problem("mysql://me:secret@db.test/sisgate")
    'write postgresql://, user, host and name of the database, or sqlite:/// and a path'
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    words = "write postgresql://, user, host and name of the database, or sqlite:/// and a path"
    try:
        return None if make_url(with_driver(url)).drivername in _DRIVERS else words
    except (ArgumentError, ValueError):
        return words


URL_PROBLEMS: Mapping[str, Callable[[str], str | None]] = {
    "broker_url": broker_problem,
    "database_url": database_problem,
}
"""By the name of the setting."""
