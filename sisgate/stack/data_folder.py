"""The data folder of a running stack: its lock, status file and free space."""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sisgate.clock import Clock
from sisgate.errors import ConfigurationError
from sisgate.settings.load import STACK_CONFIG_NAME

LOCK = "up.lock"
STATUS = "up.json"

DISK_SECONDS = 2.0
FULL_BYTES = 1 << 20
"""With less free space than this, the next write of SQLite or Redis may fail."""

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock the data folder for this process; `ConfigurationError` if another holds it."""
    make(folder)
    try:
        opened = (folder / LOCK).open("a+")
    except OSError as error:
        raise _cannot_be_written(folder, error.strerror) from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip()
            raise ConfigurationError(
                f"Another sisgate{f' (process {pid})' if pid else ''} is running with the data "
                f"folder {folder}. Stop it first, or use another folder with --data-dir."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            (folder / STATUS).unlink(missing_ok=True)


def make(folder: Path) -> None:
    """Create the folder, closed to other users, unless a writable one exists.

    Raises `ConfigurationError`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} cannot be created: {error.strerror}. "
            "Choose another one with --data-dir or SISGATE_DATA_DIR."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _cannot_be_written(folder, os.strerror(errno.EACCES))


def _cannot_be_written(folder: Path, why: str | None) -> ConfigurationError:
    return ConfigurationError(
        f"The data folder {folder} cannot be written by this user: {why}. Give it to this user "
        "(chown), or choose another folder with --data-dir or SISGATE_DATA_DIR."
    )


def remember_configuration(folder: Path, file: Path | None) -> None:
    """Store the path of the configuration file, so that commands in any folder use it."""
    place = folder / STACK_CONFIG_NAME
    if file is None:
        place.unlink(missing_ok=True)
    else:
        place.write_text(str(file), encoding="utf-8")


def write_status(folder: Path, status: Mapping[str, Any]) -> None:
    """Write the status file for `sisgate doctor`."""
    draft = folder / f"{STATUS}.draft"
    draft.write_text(json.dumps(status), encoding="utf-8")
    draft.replace(folder / STATUS)


class Disk:
    """Watches the disk of `folder`. Work resumes by itself after a full disk."""

    def __init__(self, folder: Path, clock: Clock, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._clock = clock
        self._tell = tell
        self._checked_at = -DISK_SECONDS
        self.is_full = False

    def check(self) -> None:
        """Check the free space, if it is time to."""
        now = self._clock.monotonic()
        if now - self._checked_at < DISK_SECONDS:
            return
        self._checked_at = now
        with suppress(OSError):
            low = shutil.disk_usage(self._folder).free < FULL_BYTES
            # Only a write shows a quota.
            self._note(full=low or (self.is_full and not self._takes_a_write()))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Tolerate a write that fails for lack of space; the caller retries it later."""
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
                "Free some space; work then resumes by itself."
            )
        else:
            self._tell(f"{self._folder} has free space again: resuming.")
