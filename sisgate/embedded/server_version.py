"""Which Redis or Valkey a server is, and whether its Lua has a publicly known way out."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FIXED = {
    "Redis": ((6, 2, 20), (7, 0, 15), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)),
    "Valkey": ((7, 2, 11), (8, 0, 6), (8, 1, 4), (9, 0, 0)),
}
"""The first release of each series without CVE-2025-49844 (release notes, read 2026-11-29).

Later series have the fix, series in between have none. 7.0.15 is the number under which Debian 12
and Ubuntu 24.04 ship a Redis 7.0 with the fix.
"""


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """Name and number of a server: `Valkey`, (9, 1, 2)."""

    name: str
    number: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.number))}"

    @property
    def fault(self) -> str | None:
        """What is known against this version, or None.

        >>> ServerVersion("Redis", (6, 2, 14)).fault
        'whoever may run scripts can take over the server (CVE-2025-49844)'
        >>> ServerVersion("Valkey", (9, 1, 2)).fault
        """
        fixes = {fixed[:2]: fixed for fixed in FIXED[self.name]}
        series = self.number[:2]
        if series > max(fixes) or self.number >= fixes.get(series, (*series, sys.maxsize)):
            return None
        return "whoever may run scripts can take over the server (CVE-2025-49844)"


def version_of(info: Mapping[str, Any]) -> ServerVersion:
    """Return the version in the answer to INFO: Valkey also names the Redis it is compatible with.

    >>> str(version_of({"redis_version": "7.2.4", "valkey_version": "9.1.2"}))
    'Valkey 9.1.2'
    """
    name = "Valkey" if "valkey_version" in info else "Redis"
    return ServerVersion(name, _number(str(info[f"{name.lower()}_version"])))


def parse_version_line(line: str) -> ServerVersion | None:
    """Return the version that `redis-server --version` prints, or None.

    >>> str(parse_version_line("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc bits=64"))
    'Redis 7.0.15'
    """
    found = re.match(r"(Redis|Valkey) server v=([\d.]+)", line)
    return ServerVersion(found[1], _number(found[2])) if found else None


def _number(text: str) -> tuple[int, int, int]:
    numbers = [int(part) for part in re.findall(r"\d+", text)[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch
