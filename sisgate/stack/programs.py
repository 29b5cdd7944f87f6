"""The programs of the embedded stack: Redis, worker, beat and Flower, as command lines."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sisgate
from sisgate.embedded.redis_conf import HOST, free_port, port_is_free
from sisgate.embedded.redis_server import EmbeddedRedis
from sisgate.redis.queues import PLANNER_QUEUE
from sisgate.settings import Settings
from sisgate.stack.supervisor import Program

FLOWER_PORT = 5555
FLOWER_USER = "sisgate"
WORKER_STOP_SECONDS = 20.0
"""How long a stopping worker may finish its calls. What it leaves is made again after its lease."""


def celery_command() -> list[str]:
    """Return the start of a command line that is `celery -A workers` for our package `workers`.

    By its path, and `-P` keeps the current folder out: another package of that name is not met.
    """
    return [sys.executable, "-P", str(_fleet() / "workers" / "__main__.py")]


def _fleet() -> Path:
    """Return the folder of `workers` and `beat_schedule.py`: in a wheel, or of the checkout."""
    package = Path(sisgate.__file__).parent
    installed = package / "_fleet"
    return installed if (installed / "workers").exists() else package.parent


CELERY = [*celery_command(), "--quiet"]

FILES = (
    "SISGATE_MASTER_KEY_FILE",
    "SISGATE_AUDIT_KEY_FILE",
    "SISGATE_TOKEN_FILE",
    "SISGATE_BROKER_CA_FILE",
    "SISGATE_BROKER_CLIENT_CERT",
    "SISGATE_BROKER_CLIENT_KEY",
)
"""Variables that name files and that children read again."""

ROOT_WARNING = "ignore:You're running the worker with superuser privileges"
"""A filter for PYTHONWARNINGS. The warning is about pickled messages, and we accept only JSON."""


@dataclass(frozen=True)
class Flower:
    """Where Flower listens and who may enter."""

    port: int
    password_file: Path

    @property
    def url(self) -> str:
        """The address for a browser on this machine."""
        return f"http://{HOST}:{self.port}"


def redis_program(redis: EmbeddedRedis, environment: Mapping[str, str], folder: Path) -> Program:
    """Return the embedded Redis. It stops last, and saves what it has when we are killed."""
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
    """Return the one worker, which serves the planner's queue and those of all providers."""
    queues = ",".join([PLANNER_QUEUE, *settings.providers])
    # Nothing to agree upon with other workers: there are none on an embedded Redis.
    alone = ["--without-mingle", "--without-gossip"]
    command = [*CELERY, "worker", "-Q", queues, "-c", str(processes), "-l", level, *alone]
    return _program("worker", command, environment, settings, WORKER_STOP_SECONDS)


def beat_program(settings: Settings, environment: Mapping[str, str], level: str) -> Program:
    """Return beat."""
    return _program("beat", [*CELERY, "beat", "-l", level], environment, settings)


def flower_program(
    settings: Settings, environment: Mapping[str, str], flower: Flower, level: str
) -> Program:
    """Return Flower on the loopback interface, behind a password. That goes by environment."""
    secret = flower.password_file.read_text("utf-8").strip()
    command = [*CELERY, "flower", f"--address={HOST}", f"--port={flower.port}", "-l", level]
    environment = {**environment, "FLOWER_BASIC_AUTH": secret}
    return _program("flower", command, environment, settings, 5.0)


def flower_for(settings: Settings) -> Flower:
    """Choose Flower's port, 5555 if it is free, and make its password at the first start."""
    file = settings.data_dir / "flower-password.txt"
    if not file.exists():
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(f"{FLOWER_USER}:{secrets.token_urlsafe(18)}\n")
    return Flower(FLOWER_PORT if port_is_free(FLOWER_PORT) else free_port(), file)


def child_environment(
    settings: Settings, inherited: Mapping[str, str], broker_url: str
) -> dict[str, str]:
    """Return what every child is told: the same data folder, configuration and Redis as ours."""
    own = {
        "SISGATE_DATA_DIR": str(settings.data_dir),
        "SISGATE_BROKER_URL": broker_url,
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": ROOT_WARNING,
    }
    if settings.config_file is not None:
        own["SISGATE_CONFIG"] = str(settings.config_file)
    # Children run in the data folder, where a relative path leads elsewhere.
    own |= {name: str(Path(inherited[name]).absolute()) for name in FILES if inherited.get(name)}
    if settings.database_url is not None:
        own["SISGATE_DATABASE_URL"] = settings.database_url.get_secret_value()
    return {**inherited, **own}


def _program(
    name: str,
    command: list[str],
    environment: Mapping[str, str],
    settings: Settings,
    stop_seconds: float = 10.0,
) -> Program:
    return Program(name, lambda: command, environment, settings.data_dir, stop_seconds=stop_seconds)
