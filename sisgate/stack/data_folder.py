"""The data folder as one running stack holds it: made, locked, and marked with what runs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sisgate.errors import ConfigurationError
from sisgate.settings.load import STACK_CONFIG_NAME

LOCK = "up.lock"
STATUS = "up.json"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the data folder for this process; `ConfigurationError` when another one does."""
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
    """Make the folder, closed to other users, or find one that can be written.

    `ConfigurationError` when neither can be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} cannot be made: {error.strerror}. "
            "Name another one with --data-dir or SISGATE_DATA_DIR."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _cannot_be_written(folder, os.strerror(errno.EACCES))


def _cannot_be_written(folder: Path, why: str | None) -> ConfigurationError:
    return ConfigurationError(
        f"The data folder {folder} cannot be written by this user: {why}. Give it to this user "
        "(chown), or name another folder with --data-dir or SISGATE_DATA_DIR."
    )


def remember_configuration(folder: Path, file: Path | None) -> None:
    """Keep the path of the configuration file, so that commands in any folder read the same one."""
    place = folder / STACK_CONFIG_NAME
    if file is None:
        place.unlink(missing_ok=True)
    else:
        place.write_text(str(file), encoding="utf-8")


def write_status(folder: Path, status: Mapping[str, Any]) -> None:
    """Leave word of what runs, for `sisgate doctor`."""
    draft = folder / f"{STATUS}.draft"
    draft.write_text(json.dumps(status), encoding="utf-8")
    draft.replace(folder / STATUS)


def read_status(folder: Path) -> dict[str, Any] | None:
    """Return what a running stack left word of, or None where none runs."""
    with contextlib.suppress(OSError, ValueError), (folder / LOCK).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            found = json.loads((folder / STATUS).read_text("utf-8"))
            return found if isinstance(found, dict) else None
    return None
