"""Programs of ours that begin with everything imported: forked, where a start takes a second.

`start` asks a process that has imported what a worker needs, except our package `workers`, which
builds its app from the environment. It forks; the child takes on the environment and the command
line, and from there all is as if it had been started.
"""

import atexit
import gc
import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from sisgate.clock import SystemClock, poll_until

MODULES = (
    "celery.backends.rpc", "celery.bin.celery", "celery.apps.beat", "celery.apps.worker",
    "celery.concurrency.prefork", "celery.worker.consumer", "kombu.transport.redis",
    "sqlalchemy.dialects.postgresql.psycopg", "sisgate.admission.admitter",
    "sisgate.alerts.delivery", "sisgate.alerts.judge", "sisgate.audit.sealer",
    "sisgate.breakers.breaker", "sisgate.breakers.journal", "sisgate.context",
    "sisgate.credentials.slots", "sisgate.credentials.sources", "sisgate.credentials.tokens",
    "sisgate.gateway.fleet", "sisgate.gateway.gateway", "sisgate.gateway.jobs",
    "sisgate.ledger.usage", "sisgate.liveness.obstacles", "sisgate.logs.lines",
    "sisgate.privacy.retention", "sisgate.routing.fleet", "sisgate.settings.load",
    "sisgate.sync.conclude", "sisgate.sync.start", "sisgate.transport", "sisgate.webhooks.senders",
)  # fmt: skip
"""What takes the time of a start; one that is not named here is imported by each child."""
INTERPRETER = ("PYTHON", "LD_")
"""What the variables begin with that Python reads when it starts."""


class Program(Protocol):
    """What tests do with a program that runs: a part of `subprocess.Popen`."""

    pid: int
    args: Any

    def poll(self) -> int | None:
        """Return its exit status, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status once it has ended."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""


def start(
    words: Sequence[str], environment: Mapping[str, str], log: Path, *, afresh: bool = False
) -> Program:
    """Run `python -m WORDS` in a session of its own; it appends what it says to `log`.

    In a new interpreter if it must be started `afresh`, or if the environment says so.
    """
    names = {name for name in {*environment, *os.environ} if name.startswith(INTERPRETER)}
    if afresh or any(environment.get(name) != os.environ.get(name) for name in names):
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *words], env=dict(environment), stdin=subprocess.DEVNULL,
                stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
    return _Forked(words, environment, log)


class _Forked:
    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.args = list(words)
        order = {"words": self.args, "environment": dict(environment), "log": str(log)}
        self.pid: int = _parent().ask(order)
        self._status: int | None = None

    def poll(self) -> int | None:
        if self._status is None:
            self._status = _parent().ask({"pid": self.pid})
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        seconds = float("inf") if timeout is None else timeout
        ended = lambda: self.poll() is not None  # noqa: E731
        if not poll_until(ended, clock=SystemClock(), timeout_seconds=seconds, every_seconds=0.02):
            raise subprocess.TimeoutExpired(self.args, seconds)
        assert self._status is not None
        return self._status

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)


class _Parent:
    """The process that forks, and is asked what became of its children."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "testbed.warm"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        self._lock = threading.Lock()
        atexit.register(self._process.communicate)

    def ask(self, order: Mapping[str, Any]) -> Any:
        """Send an order and return the answer."""
        given, answers = self._process.stdin, self._process.stdout
        assert given is not None
        assert answers is not None
        with self._lock:
            given.write(f"{json.dumps(order)}\n")
            given.flush()
            return json.loads(answers.readline())


_parent = cache(_Parent)


def main() -> None:
    """Fork a child for each order that has words, and return in it; tell of others."""
    for name in MODULES:
        import_module(name)
    gc.collect()
    gc.freeze()
    while line := sys.stdin.readline():
        order = json.loads(line)
        if "words" not in order:
            pid, status = os.waitpid(order["pid"], os.WNOHANG)
            _answer(os.waitstatus_to_exitcode(status) if pid else None)
        elif os.fork() == 0:
            os.setsid()
            _answer(os.getpid())
            _become(**order)
            return


def _answer(value: int | None) -> None:
    print(json.dumps(value), flush=True)


def _become(words: list[str], environment: dict[str, str], log: str) -> None:
    with Path(os.devnull).open("rb") as nothing, Path(log).open("ab") as file:
        for number, stream in enumerate((nothing, file, file)):
            os.dup2(stream.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
