"""Servers that a test may kill, freeze and start again, with what they had written by then."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg

import redis
from sisgate.embedded.redis_binary import find_redis_server
from sisgate.embedded.redis_conf import HOST, free_port
from testbed.postgres import OWNER, SETTINGS, initdb, unprivileged_user, usable_binaries
from testbed.process import LeashedServer, ServerDidNotStart, server_folder

DATABASE = "postgres"
STARTS = 10
"""So many tries: after a kill the port, or the memory of the old server, may be held a moment."""


class MortalRedis:
    """A Redis with an append-only file, as in production."""

    def __init__(self) -> None:
        self._folder = server_folder()
        self.port = free_port()
        self.url = f"redis://{HOST}:{self.port}/0"
        self._client = redis.Redis.from_url(self.url, socket_timeout=10.0)
        self.start()

    @property
    def client(self) -> redis.Redis:
        """A client of the test's own."""
        return self._client

    def start(self) -> None:
        """Start it and return when it answers."""
        command = [
            str(find_redis_server()),
            *("--bind", HOST, "--port", str(self.port), "--dir", str(self._folder)),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        ]
        self._server = LeashedServer(command, folder=server_folder())
        self._server.wait_ready(self._answers)
        self._pid = int(self._client.info("server")["process_id"])

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self._server.wait_end()

    def freeze(self) -> None:
        """SIGSTOP it: connections stand and nobody answers."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its data."""
        with contextlib.suppress(ProcessLookupError):
            self.thaw()
        self._client.close()
        self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self._client.ping())
        return False


class MortalPostgres:
    """A PostgreSQL on a loopback port; a commit is in its log before it returns, as usual."""

    def __init__(self) -> None:
        self._frozen: list[int] = []
        self._user = unprivileged_user()
        self._folder = server_folder(self._user)
        try:
            self._binaries = usable_binaries(self._user, self._folder)
            initdb(self._binaries, self._folder, self._user)
            self.port = free_port()
            self.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def url(self, port: int | None = None) -> str:
        """Return the SQLAlchemy URL of its database, by another port where a proxy stands."""
        return f"postgresql+psycopg://{OWNER}@{HOST}:{port or self.port}/{DATABASE}"

    def start(self) -> None:
        """Start it and return when it takes connections."""
        for attempt in range(1, STARTS + 1):
            try:
                self._start()
                return
            except ServerDidNotStart:
                if attempt == STARTS:
                    raise

    def kill(self) -> None:
        """SIGKILL the postmaster and its processes."""
        for pid in reversed(self._pids()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.wait_end()

    def shut_down_at_once(self) -> None:
        """Shut it down in its mode `immediate`: it recovers at the next start."""
        os.kill(self._pids()[0], signal.SIGQUIT)
        self._server.wait_end()

    def freeze(self) -> None:
        """SIGSTOP it with all its processes."""
        self._frozen = self._pids()
        for pid in self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._frozen = []

    def stop(self) -> None:
        """End it and remove its data."""
        self.thaw()
        self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        settings = SETTINGS | {"listen_addresses": HOST, "synchronous_commit": "on"}
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        options += [f"--port={self.port}", f"--unix-socket-directories={self._folder}"]
        command = [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), *options]
        self._frozen = []
        # The leash has a folder of its own: it goes with a start that failed, the data does not.
        self._server = LeashedServer(command, folder=server_folder(self._user), user=self._user)
        self._server.wait_ready(self._connects)

    def _connects(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            self._connect().close()
            return True
        return False

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(host=HOST, port=self.port, user=OWNER, dbname=DATABASE)

    def _pids(self) -> list[int]:
        """Return the postmaster and its children."""
        master = int((self._folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        return [master, *children_of(master)]


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return [int(child) for child in listed.read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    # Not Linux, a kernel without that file, or the process is gone.
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False
    ).stdout
    pairs = (line.split() for line in table.splitlines())
    return [int(child) for child, parent in pairs if int(parent) == pid]
