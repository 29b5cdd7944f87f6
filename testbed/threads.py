"""Threads that interrupt each other as often as Python lets them, so that a race shows soon."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def threads_in_turns() -> Iterator[None]:
    """Switch between threads after every few instructions within the block."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
