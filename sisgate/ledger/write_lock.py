"""Waiting for SQLite's one write lock.

SQLite itself sleeps longer and longer between its attempts, up to a tenth of a second, while the
lock is free again after a millisecond or two: with 14 writers the slowest in a hundred waited
400 ms, and whoever had waited longest was the least likely to get it. Here one thread of each
process tries, again and again after a short sleep, and the others of the process queue behind it.
"""

import sqlite3
from typing import Any

from sqlalchemy import Connection

from sisgate.clock import SystemClock

BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for another one to finish."""

FIRST_SLEEP_SECONDS, LONGEST_SLEEP_SECONDS = 0.0002, 0.001
"""Between two attempts. An attempt takes 2 µs, a transaction of a call some 1,000."""

_clock = SystemClock()


def begin_writing(connection: Connection) -> None:
    """Begin a transaction that has the write lock; SQLAlchemy's error if it cannot be had."""
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA busy_timeout=0")
    try:
        if not _has_begun(driver):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def _has_begun(driver: Any) -> bool:
    begun, seconds = _clock.monotonic(), FIRST_SLEEP_SECONDS
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or _clock.monotonic() - begun > BUSY_TIMEOUT_MS / 1000:
                return False
            _clock.sleep(seconds)
            seconds = min(2 * seconds, LONGEST_SLEEP_SECONDS)
        else:
            return True
