"""What one thing costs, by step: statements, transactions, Redis commands, processor time of ours.

Steps are functions of the product that are wrapped while it is measured. What a step inside
another one costs counts for the inner one only.
"""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from redis.connection import AbstractConnection
from sqlalchemy import Engine, event

BEGINNINGS = ("BEGIN", "PRAGMA")
"""What SQLAlchemy shows as a statement on SQLite and not on PostgreSQL."""


@dataclass
class Cost:
    """What a step has cost so far. Redis commands inside scripts are not counted."""

    statements: int = 0
    transactions: int = 0
    pings: int = 0
    commands: int = 0
    round_trips: int = 0
    cpu_seconds: float = 0.0
    texts: list[str] = field(default_factory=list, repr=False)


@dataclass
class Meter:
    """Costs by step."""

    costs: dict[str, Cost] = field(default_factory=dict)
    _steps: list[str] = field(default_factory=list)
    _since: float = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what happens in the body for a step."""
        self._tick()
        self._steps.append(name)
        self.costs.setdefault(name, Cost())
        try:
            yield
        finally:
            self._tick()
            self._steps.pop()

    @property
    def now(self) -> Cost:
        """The cost of the step that is under way."""
        return self.costs[self._steps[-1]] if self._steps else Cost()

    def within(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as a step."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.step(name):
                return function(*args, **kwargs)

        return wrapped

    def _tick(self) -> None:
        used = time.thread_time()
        self.now.cpu_seconds += used - self._since
        self._since = used


@contextmanager
def metered(engine: Engine, steps: dict[str, tuple[Any, str]]) -> Iterator[Meter]:
    """Give a meter of an engine and of all Redis connections; `steps` are (owner, name)."""
    meter = Meter()
    sending, ping = AbstractConnection.send_packed_command, engine.dialect.do_ping

    def statement(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if not text.startswith(BEGINNINGS):
            meter.now.statements += 1
            meter.now.texts.append(text)

    def commit(_connection: Any) -> None:
        meter.now.transactions += 1

    def send(self: Any, command: Any, *args: Any, **kwargs: Any) -> Any:
        meter.now.round_trips += 1
        meter.now.commands += _commands_in(
            b"".join(command) if isinstance(command, list) else command
        )
        return sending(self, command, *args, **kwargs)

    def count_ping(connection: Any) -> bool:
        meter.now.pings += 1
        return ping(connection)

    listeners: dict[str, Callable[..., None]] = {
        "before_cursor_execute": statement,
        "commit": commit,
    }
    with ExitStack() as stack:
        for what, listener in listeners.items():
            event.listen(engine, what, listener)
            stack.callback(event.remove, engine, what, listener)
        stack.enter_context(patch.object(AbstractConnection, "send_packed_command", send))
        stack.enter_context(patch.object(engine.dialect, "do_ping", count_ping))
        for step, (owner, name) in steps.items():
            stack.enter_context(patch.object(owner, name, meter.within(step, getattr(owner, name))))
        yield meter


def _commands_in(raw: bytes) -> int:
    """Return how many commands of the Redis protocol stand in a text."""
    count, at = 0, 0
    while at < len(raw):
        end = raw.index(b"\r\n", at)
        parts, at = int(raw[at + 1 : end]), end + 2
        for _ in range(parts):
            end = raw.index(b"\r\n", at)
            at = end + 2 + int(raw[at + 1 : end]) + 2
        count += 1
    return count
