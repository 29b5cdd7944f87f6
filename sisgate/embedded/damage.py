"""An append-only file that the server cannot read: found by the server's own words, put aside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

FILES = ("appendonlydir", "appendonly.aof")
"""Where Redis 7 and Valkey keep it, and where Redis 6 does."""

_READING = re.compile(r"append[- ]?only|\bAOF\b|\bRDB\b|manifest", re.IGNORECASE)
_NOT_DAMAGE = re.compile(
    r"No space left|quota exceeded|Permission denied|Read-only file system|Input/output error|"
    r"Too many open files|Ready to accept connections",
    re.IGNORECASE,
)


def cannot_read(code: int, log: Sequence[str]) -> bool:
    """Return whether a server that ended with `code` could not read its append-only file.

    `log` is what it wrote since its start. A server that was killed, that had begun to serve, or
    that could not open a sound file says nothing about the file.

    >>> said = "# Bad file format reading the append only file: make a backup of your AOF file"
    >>> cannot_read(1, [said]), cannot_read(-9, [said])
    (True, False)
    """
    text = "\n".join(log)
    return code > 0 and bool(_READING.search(text)) and not _NOT_DAMAGE.search(text)


def put_aside(directory: Path, now: datetime) -> list[Path]:
    """Rename the append-only files in `directory`; return their new names, if there were any."""
    found = [directory / name for name in FILES if (directory / name).exists()]
    return [path.rename(f"{path}.damaged-{now:%Y%m%dT%H%M%SZ}") for path in found]
