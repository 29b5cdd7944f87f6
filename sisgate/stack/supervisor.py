"""A supervisor of a few child processes: started in order, restarted when they crash.

It runs in the main thread of its process, because the kernel ties the children to that thread.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sisgate.clock import Clock
from sisgate.errors import SisgateError
from sisgate.logs.lines import pretty, read_line
from sisgate.stack import tether

RESTART_FIRST_SECONDS = 0.5
RESTART_MOST_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A program that ran for so long has started well; its next crash is the first one again."""

TAIL_LINES = 15
READ_BYTES = 65_536


@dataclass(frozen=True)
class Program:
    """What to run. `stage` orders the stop: the highest stage stops first."""

    name: str
    command: Callable[[], list[str]]
    environment: Mapping[str, str]
    folder: Path
    stage: int = 1
    stop_seconds: float = 10.0
    orphan_signal: signal.Signals = signal.SIGKILL
    """What the program gets when this process is killed."""
    on_crash: Callable[[int, Sequence[str]], str | None] = lambda _code, _tail: None
    """Asked with the exit code and the last lines before it is started again; what it changed."""


@dataclass
class Child:
    """A program with its process, if it runs now."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    crashes: int = 0
    """How often in a row it has ended soon after its start."""
    code: int = 0
    restart_at: float | None = None
    groups: list[int] = field(default_factory=list)
    has_spoken: bool = False
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))


def restart_delay(crashes: int) -> float:
    """Return how long to wait after the `crashes`-th crash in a row.

    >>> [restart_delay(n) for n in (1, 2, 3, 10)]
    [0.5, 1.0, 2.0, 30.0]
    """
    return float(min(RESTART_MOST_SECONDS, RESTART_FIRST_SECONDS * 2 ** (crashes - 1)))


class Supervisor:
    """Runs programs. `on_line` gets each line a program writes, `on_event` what happens to it."""

    def __init__(
        self, clock: Clock, *, on_line: Callable[[str, str], None], on_event: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._on_line = on_line
        self._on_event = on_event
        self._children: dict[str, Child] = {}
        self._outputs = selectors.DefaultSelector()
        self._rests: dict[IO[bytes], bytes] = {}

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each program that runs."""
        return {name: child.process.pid for name, child in self._children.items() if child.process}

    def tail(self, name: str) -> list[str]:
        """Return the last lines that a program wrote since its last start, or at its last end."""
        return list(self._children[name].tail) if name in self._children else []

    def raise_if_hopeless(self, crashes: int) -> None:
        """Raise `SisgateError` if a program has ended so often in a row, soon after its start."""
        for name, child in self._children.items():
            if child.crashes >= crashes and child.process is None:
                raise SisgateError(
                    f"{name} {_end(child.code)} soon after its start, {child.crashes} times in a "
                    "row, so the whole stack was stopped. Accepted work is kept."
                    f"{last_words(self.tail(name))}"
                )

    def start(self, program: Program) -> None:
        """Start a program and keep it running from now on."""
        child = self._children[program.name] = Child(program)
        self._spawn(child)

    def tick(self, seconds: float) -> None:
        """Pass on output for at most `seconds`, and start again what has crashed."""
        self._read(seconds)
        now = self._clock.monotonic()
        for child in self._children.values():
            if child.process is not None and child.process.poll() is not None:
                self._read(0)  # its last words
                self._ended(child, child.process.returncode)
            child.groups = [group for group in child.groups if _exists(group)]
            if child.restart_at is not None and now >= child.restart_at:
                self._start_again(child)

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop stage by stage; what does not end in its time, or once `hurry()`, is killed."""
        for stage in sorted({c.program.stage for c in self._children.values()}, reverse=True):
            self._stop([c for c in self._children.values() if c.program.stage == stage], hurry)
        self._read(0)
        for output in list(self._rests):
            self._close(output)
        self._outputs.close()

    def _start_again(self, child: Child) -> None:
        try:
            self._spawn(child)
        except (OSError, SisgateError) as error:
            # Too little memory, a full disk, a program that was taken away: it may come back.
            child.tail.append(str(error))
            child.started_at = self._clock.monotonic()
            self._ended(child, 1)

    def _spawn(self, child: Child) -> None:
        program = child.program
        words = [sys.executable, "-ISE", tether.__file__, str(os.getpid())]
        process = subprocess.Popen(
            [*words, str(int(program.orphan_signal)), *program.command()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(program.environment),
            cwd=program.folder,
            # A session of its own: Ctrl-C in the terminal is for us, who then stop it in order.
            start_new_session=True,
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._outputs.register(process.stdout, selectors.EVENT_READ, child)
        self._rests[process.stdout] = b""
        child.process, child.started_at = process, self._clock.monotonic()
        child.restart_at = None
        child.groups.append(process.pid)
        child.has_spoken = False

    def _ended(self, child: Child, code: int) -> None:
        now = self._clock.monotonic()
        child.process, child.code = None, code
        child.crashes = 1 if now - child.started_at > STEADY_SECONDS else child.crashes + 1
        delay = restart_delay(child.crashes)
        child.restart_at = now + delay
        self._on_event(f"{child.program.name} {_end(code)}; it starts again in {delay:g} s")
        if changed := child.program.on_crash(code, list(child.tail)):
            self._on_event(changed)

    def _stop(self, children: list[Child], hurry: Callable[[], bool]) -> None:
        begun = self._clock.monotonic()
        for child in children:
            child.restart_at = None
            if child.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    child.process.send_signal(signal.SIGTERM)
        while running := [c for c in children if c.process and c.process.poll() is None]:
            self._read(0.1)
            waited = self._clock.monotonic() - begun
            for child in running:
                if hurry() or waited > child.program.stop_seconds:
                    _kill_groups(child)
        for child in children:
            # Children of a program that was killed may live on; nothing of ours may.
            _kill_groups(child)
            child.process = None

    def _read(self, seconds: float) -> None:
        if not self._rests:
            self._clock.sleep(seconds)
            return
        for key, _ in self._outputs.select(seconds):
            output, child = key.fileobj, key.data
            assert not isinstance(output, int)
            try:
                data = os.read(key.fd, READ_BYTES)
            except BlockingIOError:
                continue
            if not data:
                self._close(output)  # type: ignore[arg-type]  # we registered the pipe itself
                continue
            *lines, rest = (self._rests[output] + data).split(b"\n")  # type: ignore[index]
            self._rests[output] = rest  # type: ignore[index]
            for line in lines:
                self._pass_on(child, line)

    def _close(self, output: IO[bytes]) -> None:
        child = self._outputs.get_key(output).data
        if rest := self._rests.pop(output):
            self._pass_on(child, rest)
        self._outputs.unregister(output)
        output.close()

    def _pass_on(self, child: Child, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if not child.has_spoken:
            # Until then the last words of the run before say why it was started again.
            child.tail.clear()
            child.has_spoken = True
        child.tail.append(text)
        self._on_line(child.program.name, text)


def last_words(tail: Sequence[str]) -> str:
    """Return the end of a program's log as the end of a message."""
    if not tail:
        return ""
    events = ((line, read_line(line)) for line in tail)
    told = [pretty(event) if event is not None else line for line, event in events]
    return "".join(["\nThe end of its log:", *(f"\n  {line}" for line in told)])


def _end(code: int) -> str:
    return (
        f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    )


def _exists(group: int) -> bool:
    # Asked often, so that no number is kept that could be given to somebody else's processes.
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _kill_groups(child: Child) -> None:
    for group in child.groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
