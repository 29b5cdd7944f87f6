"""The redis.conf of an embedded Redis, which stores its port and password; and the URL of Redis."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from sisgate.settings import Settings

HOST = "127.0.0.1"

_TEMPLATE = """\
# Written by sisgate at each start; only port and requirepass are kept from the last one.
bind {host}
port {port}
protected-mode yes
requirepass {password}
daemonize no
supervised no
dir {directory}
pidfile {pidfile}
# Accepted work survives in the ledger; the append-only file spares publishing it again.
appendonly yes
appendfsync everysec
save ""
# A full Redis must refuse a message, never drop another one.
maxmemory-policy noeviction
"""


@dataclass(frozen=True, slots=True, repr=False)
class RedisConf:
    """Port and password of the Redis that lives in `directory`."""

    directory: Path
    port: int
    password: str

    @property
    def path(self) -> Path:
        """The configuration file of redis-server."""
        return self.directory / "redis.conf"

    @property
    def pidfile(self) -> Path:
        """Written by Redis while it runs."""
        return self.directory / "redis.pid"

    @property
    def url(self) -> str:
        """The URL for clients, with the password."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    @classmethod
    def load(cls, directory: Path) -> RedisConf:
        """Return the port and password of the last start, or new ones if there are none."""
        text = ""
        with contextlib.suppress(FileNotFoundError):
            text = (directory / "redis.conf").read_text("utf-8")
        port = re.search(r"^port (\d+)$", text, re.MULTILINE)
        password = re.search(r"^requirepass (\S+)$", text, re.MULTILINE)
        return cls(
            directory,
            int(port[1]) if port else free_port(),
            password[1] if password else secrets.token_urlsafe(32),
        )

    def with_new_port(self) -> RedisConf:
        """Return a copy with a free port."""
        return replace(self, port=free_port())

    def write(self) -> None:
        """Write the file atomically, readable only by its owner."""
        text = _TEMPLATE.format(
            host=HOST,
            port=self.port,
            password=self.password,
            directory=_quoted(self.directory),
            pidfile=_quoted(self.pidfile),
        )
        draft = self.path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(self.path)


def broker_url(settings: Settings) -> str:
    """Return the Redis URL: the configured one, or that of the embedded server.

    Clients take no lock. If no embedded server ever ran, nothing listens at the URL: work is then
    accepted into the ledger, and published once `sisgate up` runs.
    """
    if settings.broker_url is None or uses_embedded_redis(settings):
        return RedisConf.load(settings.data_dir.absolute() / "redis").url
    return settings.broker_url.get_secret_value()


def uses_embedded_redis(settings: Settings) -> bool:
    """Return whether Redis is the data folder's: no URL is set, or `sisgate env` set it."""
    if settings.broker_url is None:
        return True
    return is_own_url(settings.data_dir, settings.broker_url.get_secret_value())


def is_own_url(data_dir: Path, url: str) -> bool:
    """Return whether a URL is that of a data folder's server, now or at an earlier start.

    Its random password identifies it; its port may have been replaced since.
    """
    directory = data_dir.absolute() / "redis"
    if not (directory / "redis.conf").exists():
        return False
    conf, address = RedisConf.load(directory), urlsplit(url)
    return address.hostname == HOST and address.password == conf.password


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on `port` of the loopback interface."""
    with socket.socket() as probe:
        # As Redis does: a port that is only in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
