"""Whether the disk of the data folder is full, told when it becomes so and when it ends."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sisgate.clock import Clock

LOOK_SECONDS = 2.0
FULL_BYTES = 1 << 20
"""With less free space than this SQLite and Redis cannot be sure of their next write."""

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class Disk:
    """Watches the disk of `folder`; a full one is waited for, since all goes on when it ends."""

    def __init__(self, folder: Path, clock: Clock, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._clock = clock
        self._tell = tell
        self._looked_at = -LOOK_SECONDS
        self.is_full = False

    def look(self) -> None:
        """Look again, if it is time to."""
        now = self._clock.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        with suppress(OSError):
            low = shutil.disk_usage(self._folder).free < FULL_BYTES
            # A quota shows in no figure but in a write.
            self._note(full=low or (self.is_full and not self._takes_a_write()))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write something that may fail for want of space, to be tried again later."""
        try:
            yield
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self._note(full=True)

    def _takes_a_write(self) -> bool:
        draft = self._folder / "space.draft"
        try:
            with draft.open("wb") as file:
                file.write(bytes(FULL_BYTES // 16))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return False
        finally:
            with suppress(OSError):
                draft.unlink()
        return True

    def _note(self, *, full: bool) -> None:
        if full == self.is_full:
            return
        self.is_full = full
        if full:
            self._tell(
                f"the disk of {self._folder} is full: nothing new is accepted and no call is made. "
                "Free some space; everything goes on by itself then."
            )
        else:
            self._tell(f"there is space again in {self._folder}: going on.")
