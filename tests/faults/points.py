"""Crash points: where a process can be told to die, before and after each step that matters.

Tests load this into real processes (`celery worker -I tests.faults.points`, `celery beat -S
tests.faults.points:SteadyScheduler`); the product knows nothing of it. A point is named by
what happens there and by the function of ours that does it, so new code has points without a list:

- `before` and `after` each `commit` of a transaction that writes, each `publish`, `ack`, `reject`;
- each `connect` and `request` to a provider and each `redis` script or pipeline of ours.

The folder named by `FOLDER_VARIABLE` is how tests and processes talk: a point that was passed is
a line in `seen`; a file in `armed` kills or freezes the first process that comes by, and that is
noted in `taken`.
"""

import functools
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import redis
from celery import signals
from kombu.message import Message
from requests.adapters import HTTPAdapter
from sqlalchemy import event
from sqlalchemy.orm import Session
from urllib3.connection import HTTPConnection

from sisgate.broker import Publisher
from workers.task_types import SteadyScheduler

__all__ = ["FOLDER_VARIABLE", "PointsFolder", "SteadyScheduler"]

FOLDER_VARIABLE = "SISGATE_TEST_POINTS"

FREEZE = "freeze"

OURS = ("workers.", "sisgate.", "tests.faults.")
NOT_TELLING = {
    "sisgate.broker",
    "sisgate.ledger.database",
    "sisgate.ledger.engine",
    "sisgate.ledger.session",
    "sisgate.redis.client",
    "sisgate.redis.scripts",
    "sisgate.bounded_http",
    __name__,
}
"""Modules that every step passes through: they tell nothing of which one it is."""

PASSING_ON = {"_run"}
"""Functions of the same kind: who calls them tells."""

SCRIPTS = {"EVALSHA", "EVAL"}


class PointsFolder:
    """The tests' side: which points there are, arm one, see which were taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "armed").mkdir(parents=True)
        for name in ("seen", "taken"):
            (folder / name).touch()

    @property
    def seen(self) -> list[str]:
        """The points that some process has passed, sorted."""
        return sorted(set(self._lines("seen")))

    @property
    def taken(self) -> list[str]:
        """The points at which a process has died, in order."""
        return self._lines("taken")

    @property
    def armed(self) -> set[str]:
        """The files of the points that wait for a process."""
        return {path.name for path in (self.folder / "armed").iterdir()}

    def arm(self, point: str) -> None:
        """Kill the next process that passes a point."""
        (self.folder / "armed" / _file(point)).touch()

    def freeze(self, point: str) -> None:
        """Stop the next process that passes a point, and all of its session."""
        (self.folder / "armed" / _file(point)).write_text(FREEZE, "utf-8")

    def disarm(self) -> None:
        """Let every process pass."""
        for path in (self.folder / "armed").iterdir():
            path.unlink(missing_ok=True)

    def _lines(self, name: str) -> list[str]:
        return (self.folder / name).read_text("utf-8").splitlines()


class _Watch:
    """The processes' side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[str] = set()

    def passes(self, when: str, what: str) -> None:
        """Note a point, and die here if it is armed."""
        point = f"{when} {what}"
        if point not in self._seen:
            self._seen.add(point)
            self._append("seen", point)
        armed = self._folder / "armed" / _file(point)
        try:
            what = armed.read_text("utf-8")
            # Only one process can remove it, so an armed point kills once.
            armed.unlink()
        except FileNotFoundError:
            return
        self._append("taken", point)
        if what == FREEZE:
            os.killpg(os.getpgid(0), signal.SIGSTOP)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, what: Callable[..., str | None]) -> None:
        """Put points around a method; `what` names them from its arguments, None: no point."""
        method = getattr(owner, name)

        @functools.wraps(method)
        def watched(*args: Any, **kwargs: Any) -> Any:
            named = what(*args, **kwargs)
            if named is None:
                return method(*args, **kwargs)
            self.passes("before", named)
            answer = method(*args, **kwargs)
            self.passes("after", named)
            return answer

        setattr(owner, name, watched)

    def _append(self, name: str, line: str) -> None:
        with (self._folder / name).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def install(folder: Path) -> None:
    """Watch this process, and what it forks."""
    watch = _Watch(folder)

    def commit(when: str) -> Callable[[Session], None]:
        def at_commit(session: Session) -> None:
            if session.get_bind().get_execution_options().get("sisgate_writes"):
                watch.passes(when, f"commit {_doer()}")

        return at_commit

    def publish(when: str) -> Callable[..., None]:
        def at_publish(sender: str | None = None, **_: Any) -> None:
            watch.passes(when, f"publish {sender} {_doer()}")

        return at_publish

    event.listen(Session, "before_commit", commit("before"))
    event.listen(Session, "after_commit", commit("after"))
    signals.before_task_publish.connect(publish("before"), weak=False)
    signals.after_task_publish.connect(publish("after"), weak=False)
    for what in ("plan", "call"):
        watch.around(Publisher, f"{what}s", functools.partial(_of_publish, what))
    for verb in ("ack", "reject"):
        watch.around(Message, verb, functools.partial(_of_message, verb))
    watch.around(HTTPConnection, "connect", lambda *_, **__: f"connect {_doer()}")
    watch.around(HTTPAdapter, "send", lambda *_, **__: f"request {_doer()}")
    watch.around(redis.Redis, "execute_command", _of_command)
    watch.around(redis.client.Pipeline, "execute", lambda *_, **__: _of_redis())


def _of_publish(what: str, *_: Any) -> str:
    return f"publish {what} {_doer()}"


def _of_message(verb: str, message: Message, *_: Any, **__: Any) -> str:
    return f"{verb} {message.headers.get('task')}"


def _of_command(_client: Any, *args: Any, **_: Any) -> str | None:
    return _of_redis() if args and args[0] in SCRIPTS else None


def _of_redis() -> str | None:
    doer = _doer()
    return f"redis {doer}" if doer else None


def _doer() -> str:
    """Return the innermost function of ours that is at work, or nothing: the library itself."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        is_ours = module.startswith(OURS) and module not in NOT_TELLING
        if is_ours and frame.f_code.co_name not in PASSING_ON:
            return f"{module}.{frame.f_code.co_qualname.replace('.<locals>', '')}"
        frame = frame.f_back
    return ""


def _file(point: str) -> str:
    return re.sub(r"[^\w.]+", "-", point)


if folder := os.environ.get(FOLDER_VARIABLE):
    install(Path(folder))
