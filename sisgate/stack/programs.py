"""The programs of the embedded stack: their command lines, environment and logs."""

import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sisgate
from sisgate.embedded.redis_conf import (
    HOST,
    broker_url,
    free_port,
    port_is_free,
    uses_embedded_redis,
)
from sisgate.embedded.redis_server import EmbeddedRedis
from sisgate.errors import BrokerUnavailable
from sisgate.logs.lines import read_line
from sisgate.settings import Settings
from sisgate.settings.load import BROKER_TLS_FILES
from sisgate.stack.flower_login import login_file
from sisgate.stack.supervisor import Program

FLOWER_PORT = 5555
WEB_PORT = 8750
WORKER_STOP_SECONDS = 20.0
"""How long a stopping worker may finish its calls; unfinished ones resume after their lease."""


def celery_command() -> list[str]:
    """Return the beginning of a command line like `celery -A workers` for our package `workers`.

    Its path and `-P`, which leaves out the current folder, avoid other packages of that name.
    """
    return [sys.executable, "-P", str(_fleet() / "workers" / "__main__.py")]


def _fleet() -> Path:
    """Return the folder of `workers` and `beat_schedule.py`: in a wheel, or of the checkout."""
    package = Path(sisgate.__file__).parent
    installed = package / "_fleet"
    return installed if (installed / "workers").exists() else package.parent


CELERY = [*celery_command(), "--quiet"]

FILES = ("SISGATE_TOKEN_FILE", *(f"SISGATE_{name.upper()}" for name in BROKER_TLS_FILES))
"""Variables with paths of files that children read."""

SERVERS = (
    "SISGATE_BROKER_URL_FILE", "SISGATE_DATABASE_URL", "SISGATE_DATABASE_URL_FILE",
    "SISGATE_MASTER_KEY", "SISGATE_MASTER_KEY_FILE",
)  # fmt: skip
"""Variables that children get from the settings instead of our environment."""

ROOT_WARNING = "ignore:You're running the worker with superuser privileges"
"""A filter for PYTHONWARNINGS. The warning is about pickled messages, and we accept only JSON."""

# Flower queries the worker before it has started, and later again; the service says where it is.
_QUIET = re.compile(r"^\s*$|Inspect method \w+ failed|^(api|access) {2,}")
_REDIS_TROUBLE = re.compile(r"error|fatal|can't|failed|denied|misconf|out of memory", re.IGNORECASE)
_LOST = re.compile(r"WorkerLostError.*?(?:signal (?P<number>\d+)|exitcode|$)")


@dataclass(frozen=True)
class Flower:
    """Flower's port and password file."""

    port: int
    password_file: Path

    @property
    def url(self) -> str:
        """The address for a browser on this machine."""
        return f"http://{HOST}:{self.port}"


def redis_program(redis: EmbeddedRedis, environment: Mapping[str, str], folder: Path) -> Program:
    """Return the embedded Redis. It stops last, and saves its data if we are killed."""
    return Program(
        "redis",
        redis.command,
        environment,
        folder,
        stage=0,
        orphan_signal=signal.SIGTERM,
        on_crash=redis.put_aside_if_damaged,
    )


def worker_program(
    settings: Settings, environment: Mapping[str, str], processes: int, level: str
) -> Program:
    """Return the worker, which serves the queues of the planner and all providers."""
    # An embedded Redis has no other workers to synchronise with.
    alone = ["--without-mingle", "--without-gossip"]
    command = [*CELERY, "worker", "-c", str(processes), "-l", level, *alone]
    lease = max((provider.lease for provider in settings.providers.values()), default=0.0)

    def after_crash(_code: int, _tail: Sequence[str]) -> str | None:
        if not lease:
            return None
        return f"calls in flight are taken up again when their leases end, within {lease:g} s"

    program = _program("worker", command, environment, settings, WORKER_STOP_SECONDS)
    return replace(program, on_crash=after_crash)


def beat_program(settings: Settings, environment: Mapping[str, str], level: str) -> Program:
    """Return beat."""
    return _program("beat", [*CELERY, "beat", "-l", level], environment, settings)


def flower_program(
    settings: Settings, environment: Mapping[str, str], flower: Flower, level: str
) -> Program:
    """Return Flower on the loopback interface, with a password from its environment."""
    secret = flower.password_file.read_text("utf-8").strip()
    command = [*CELERY, "flower", f"--address={HOST}", f"--port={flower.port}", "-l", level]
    environment = {**environment, "FLOWER_BASIC_AUTH": secret}
    return _program("flower", command, environment, settings, 5.0)


def web_program(settings: Settings, environment: Mapping[str, str], port: int) -> Program:
    """Return the HTTP service on the loopback interface."""
    command = [sys.executable, "-P", "-m", "sisgate.cli", "serve", f"--host={HOST}"]
    # It answers who waits at once, and finishes the rest.
    return _program("web", [*command, f"--port={port}"], environment, settings, 20.0)


def web_port() -> int:
    """Choose the port of the HTTP service, 8750 if it is free."""
    return WEB_PORT if port_is_free(WEB_PORT) else free_port()


def flower_for(settings: Settings) -> Flower:
    """Choose Flower's port, 5555 if free, and create its password on the first start."""
    file = login_file(settings)
    return Flower(FLOWER_PORT if port_is_free(FLOWER_PORT) else free_port(), file)


def variables(settings: Settings, broker_url: str) -> dict[str, str]:
    """Return the variables that lead another process to the same Redis, ledger and files.

    An embedded ledger needs no URL.
    """
    url = settings.database_url
    values = {
        "SISGATE_DATA_DIR": settings.data_dir,
        "SISGATE_CONFIG": settings.config_file,
        "SISGATE_BROKER_URL": broker_url,
        "SISGATE_DATABASE_URL": url.get_secret_value() if url else None,
        "SISGATE_MASTER_KEY_FILE": settings.master_key_file,
        "SISGATE_AUDIT_KEY_FILE": settings.audit_key_file,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def variables_for_apps(settings: Settings) -> dict[str, str]:
    """Return the variables for another app here; `BrokerUnavailable` before the first start.

    The URL of the embedded Redis is that of its last start.
    """
    folder = settings.data_dir
    if uses_embedded_redis(settings) and not (folder / "redis" / "redis.conf").exists():
        raise BrokerUnavailable(
            f"The Redis of the data folder {folder} has never been started, so it has no URL yet. "
            "Start it with `sisgate up`."
        )
    return variables(settings, broker_url(settings))


def child_environment(
    settings: Settings, inherited: Mapping[str, str], broker_url: str, *, verbose: bool = False
) -> dict[str, str]:
    """Return the environment of children: our data folder, configuration and servers."""
    kept = {name: value for name, value in inherited.items() if name not in SERVERS}
    if settings.master_key is not None:
        kept["SISGATE_MASTER_KEY"] = settings.master_key.get_secret_value()
    # Children run in the data folder, where relative paths differ.
    files = {name: str(Path(kept[name]).absolute()) for name in FILES if kept.get(name)}
    # Who reads their lines writes them for people, or passes them on.
    own = {
        "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": ROOT_WARNING, "SISGATE_LOG_FORMAT": "json",
        "SISGATE_LOG_LEVEL": "info" if verbose else "warning",
    }  # fmt: skip
    return {**kept, **files, **own, **variables(settings, broker_url)}


def _program(
    name: str,
    command: list[str],
    environment: Mapping[str, str],
    settings: Settings,
    stop_seconds: float = 10.0,
) -> Program:
    return Program(name, lambda: command, environment, settings.data_dir, stop_seconds=stop_seconds)


def shown(name: str, line: str, *, verbose: bool = False) -> Mapping[str, Any] | None:
    """Return the event to show for a line that a program has written; None for nothing.

    >>> lost = "Task handler raised error: WorkerLostError('… signal 9 (SIGKILL) …')"
    >>> shown("worker", f'{{"level": "error", "event": "{lost}"}}')["event"]
    'a process was killed in the middle of a task (signal 9); the task is done again'
    >>> shown("worker", '{"level": "info", "event": "ready"}')
    >>> shown("beat", "Traceback (most recent call last):")["event"]
    'Traceback (most recent call last):'
    >>> shown("web", "access  tokens"), shown("web", "access  tokens", verbose=True)["level"]
    (None, 'info')
    """
    event = read_line(line)
    if event is None:
        # Redis's notices at the start report nothing that a user can fix here.
        is_notice = name == "redis" and ("overcommit" in line or not _REDIS_TROUBLE.search(line))
        is_hidden = is_notice or _QUIET.search(line) is not None
        level = "info" if is_hidden else "warning"
        told = {"level": level, "process": name, "event": line}
        return told if verbose or not is_hidden else None
    if verbose:
        return event
    if event["level"] in {"debug", "info"} or _QUIET.search(str(event["event"])):
        return None
    lost = _LOST.search(str(event["event"]))
    if lost is None:
        return event
    how = f" (signal {lost['number']})" if lost["number"] else ""
    what = f"a process was killed in the middle of a task{how}; the task is done again"
    return {name: event[name] for name in event if name != "exception"} | {"event": what}
