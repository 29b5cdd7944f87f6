# ruff: noqa: ICN001, TID251  # it moves the clocks that others may not read
"""Moves the wall clock of a Python process: `PYTHONPATH` with this folder, and `OFFSET_VARIABLE`.

Python imports `sitecustomize` before anything else, so everything that reads the time later reads
the moved one, Celery and kombu included. Monotonic clocks and the kernel's stay as they are, as on
a host whose clock is wrong.
"""

import datetime
import os
import sqlite3  # noqa: F401  # it keeps what becomes of a date by the date's real class
import time
from typing import Any

OFFSET_VARIABLE = "SISGATE_TEST_CLOCK_OFFSET"
"""Seconds by which the process's clock is ahead."""

_Real = datetime.datetime
_time, _time_ns = time.time, time.time_ns


class _Like(type):
    """Makes every date an instance of the class that stands in for `datetime`."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Real)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _Real)


def move(seconds: float) -> None:
    """Let the clock of this process be `seconds` ahead from now on."""
    time.time = lambda: _time() + seconds
    time.time_ns = lambda: _time_ns() + round(seconds * 1e9)

    class Moved(_Real, metaclass=_Like):
        """`datetime` that reads the moved clock. It makes dates of the real class only."""

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            return _Real(*args, **kwargs)

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return _Real.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return _Real.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return _Real.fromtimestamp(time.time())

    Moved.__name__ = Moved.__qualname__ = "datetime"
    Moved.__module__ = "datetime"
    datetime.datetime = Moved  # type: ignore[misc]


if offset := os.environ.get(OFFSET_VARIABLE):
    move(float(offset))
