"""Starting a process: what its modules make while they load is never searched for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Keep the garbage collector off while modules load, and what they made out of its sight after.

    Modules make some 100,000 objects that stay until the end. Going through them again and again
    is a sixth of the time that a command or a worker takes to start, and each collection later
    would go through them too; in the children of a worker it would also copy their memory.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
