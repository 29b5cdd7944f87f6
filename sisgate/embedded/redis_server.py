"""A private Redis in the data folder, for one machine without a Redis of its own."""

import contextlib
import fcntl
import re
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Self

from sisgate.clock import Clock, SystemClock, poll_until
from sisgate.embedded.redis_binary import find_redis_server
from sisgate.embedded.redis_conf import RedisConf, port_is_free
from sisgate.errors import BrokerUnavailable, ConfigurationError
from sisgate.redis.client import connect

START_ATTEMPTS = 3
"""A free port may be taken before Redis listens on it: then the next one is tried."""

STOP_SECONDS = 10.0
LOG_TAIL_LINES = 15

AOF_FILES = ("appendonlydir", "appendonly.aof")
"""Where Redis 7 and Valkey store the append-only file, and where Redis 6 does."""

_READING_FAILED = re.compile(r"append[- ]?only|\bAOF\b|\bRDB\b|manifest", re.IGNORECASE)
_NOT_DAMAGE = re.compile(
    r"No space left|quota exceeded|Permission denied|Read-only file system|Input/output error|"
    r"Too many open files|Ready to accept connections",
    re.IGNORECASE,
)


class EmbeddedRedis:
    """A private Redis on 127.0.0.1, with its files in `data_dir/redis`.

    Port and password are random, stored across starts in a redis.conf that only its owner can read,
    and never on a command line. Data is appended to a file that is synced every second, and nothing
    is ever evicted. Use it directly (`start`, `stop`, or `with`), or pass `command()` to a
    supervisor; either way this object must live as long as the server: it holds the folder's lock
    until `stop`.
    """

    def __init__(self, data_dir: Path, *, clock: Clock | None = None) -> None:
        self._directory = data_dir.absolute() / "redis"
        self._clock = clock or SystemClock()
        self._lock: IO[bytes] | None = None
        self._conf: RedisConf | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def url(self) -> str:
        """The URL with its password. It is final once `command` or `start` has returned."""
        return self._prepared().url

    @property
    def pid(self) -> int | None:
        """Process id of the server that `start` started, or None."""
        return self._process.pid if self._process else None

    @property
    def log_path(self) -> Path:
        """Where a server that `start` started writes its log."""
        return self._directory / "redis.log"

    def command(self) -> list[str]:
        """Return the arguments that run the server in the foreground, for a supervisor.

        Takes the folder's lock and writes redis.conf; a port taken by somebody else since the last
        start is replaced. Raises `ConfigurationError` when another live instance has the folder,
        when the folder cannot be written, or when there is no redis-server.
        """
        return [str(find_redis_server()), str(self._prepared().path)]

    def start(self, timeout_seconds: float = 30.0) -> None:
        """Start the server and return when it responds; does nothing if it is already running.

        Raises what `command` raises, and `BrokerUnavailable` with the end of the server's log.
        """
        for _ in range(START_ATTEMPTS):
            if self._process is None:
                self._spawn()
            try:
                return self.wait_ready(timeout_seconds)
            except BrokerUnavailable:
                conf = self._prepared()
                exited = self._has_ended()
                code = self._terminate()
                if exited and self.put_aside_if_damaged(code, self._log_tail().splitlines()):
                    continue
                if not exited or port_is_free(conf.port):
                    self.stop()
                    raise
                self._adopt(conf.with_new_port())
        self.stop()
        raise BrokerUnavailable(f"Redis found no free port in {START_ATTEMPTS} attempts.")

    def wait_ready(self, timeout_seconds: float = 30.0) -> None:
        """Return when the server responds, whoever started it; else raise `BrokerUnavailable`."""
        conf = self._prepared()
        settled = poll_until(
            lambda: self._has_ended() or _answering_pid(conf) is not None,
            clock=self._clock,
            timeout_seconds=timeout_seconds,
        )
        if not settled or self._has_ended():
            raise BrokerUnavailable(
                f"The embedded Redis in {self._directory} does not answer."
                f" The end of its log:\n{self._log_tail()}"
            )

    def put_aside_if_damaged(self, code: int, log: Sequence[str]) -> str | None:
        """Set aside an append-only file that made the server exit because it could not be read.

        `code` is its exit code and `log` what it wrote since its start. Returns a message about
        what was done, or None. The next start begins empty: the ledger has the work.
        """
        if not cannot_read(code, log):
            return None
        moved = put_aside(self._directory, self._clock.now())
        if not moved:
            return None
        names = " and ".join(map(str, moved))
        return (
            f"Redis could not read its append-only file, which was put aside as {names}. It starts "
            "empty; accepted work is in the ledger and continues. Only syncs that another Celery "
            "app had sent by name, and that no planner had received, are lost: send them again."
        )

    def stop(self) -> None:
        """Stop the server if `start` started it, keeping its data, and release the folder."""
        self._terminate()
        self._conf = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepared(self) -> RedisConf:
        """Return the configuration; the first time, lock the folder and write it."""
        if self._conf is not None:
            return self._conf
        self._take_folder()
        try:
            conf = RedisConf.load(self._directory)
            if not port_is_free(conf.port):
                self._stop_survivor(conf)
            if not port_is_free(conf.port):
                conf = conf.with_new_port()
            return self._adopt(conf)
        except BaseException:
            self.stop()
            raise

    def _adopt(self, conf: RedisConf) -> RedisConf:
        conf.write()
        self._conf = conf
        return conf

    def _take_folder(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            # The append-only file holds messages and is readable by all; its folder is not.
            self._directory.chmod(0o700)
            lock = (self._directory / "lock").open("ab")
        except OSError as error:
            raise ConfigurationError(
                f"The data folder {self._directory} cannot be written: {error.strerror}."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise ConfigurationError(
                f"Another sisgate is running with the data folder {self._directory.parent}."
                " Stop it first, or use another data folder."
            ) from error
        self._lock = lock

    def _stop_survivor(self, conf: RedisConf) -> None:
        """Stop our own Redis if it outlived a killed supervisor. We hold the lock."""
        if _answering_pid(conf) is None:
            return
        client = connect(conf.url, socket_timeout=STOP_SECONDS)
        with client, contextlib.suppress(BrokerUnavailable):
            client.shutdown()
        poll_until(lambda: port_is_free(conf.port), clock=self._clock, timeout_seconds=STOP_SECONDS)

    def _spawn(self) -> None:
        command = self.command()
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            # Its own session: Ctrl-C in the terminal is for us; we then stop it in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _terminate(self) -> int:
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        code, self._process = self._process.returncode, None
        return code

    def _has_ended(self) -> bool:
        """Whether the server that `start` started has exited by itself."""
        return self._process is not None and self._process.poll() is not None

    def _log_tail(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            text = self.log_path.read_bytes()[self._log_start :].decode("utf-8", "replace")
            return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])
        return "(no log)"


def _answering_pid(conf: RedisConf) -> int | None:
    """Return the process id of the Redis that answers to our password, or None."""
    client = connect(conf.url, socket_timeout=1.0, socket_connect_timeout=1.0)
    with client, contextlib.suppress(BrokerUnavailable):
        client.ping()
        return int(client.info("server")["process_id"])
    return None


def cannot_read(code: int, log: Sequence[str]) -> bool:
    """Return whether a server that ended with `code` could not read its append-only file.

    `log` is what it wrote since its start. A server that was killed, had started serving, or could
    not open an intact file says nothing about the file.

    >>> line = "# Bad file format reading the append only file: make a backup of your AOF file"
    >>> cannot_read(1, [line]), cannot_read(-9, [line])
    (True, False)
    """
    text = "\n".join(log)
    return code > 0 and bool(_READING_FAILED.search(text)) and not _NOT_DAMAGE.search(text)


def put_aside(directory: Path, now: datetime) -> list[Path]:
    """Rename the append-only files in `directory`; return their new names, if there were any."""
    files = [directory / name for name in AOF_FILES if (directory / name).exists()]
    return [path.rename(f"{path}.damaged-{now:%Y%m%dT%H%M%SZ}") for path in files]
