"""What the supervisor of `sisgate up` does with programs that end."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sisgate.clock import SystemClock
from sisgate.errors import SisgateError
from sisgate.stack.supervisor import Program, Supervisor

CLOCK = SystemClock()


@pytest.fixture
def events() -> list[str]:
    """What was told."""
    return []


@pytest.fixture
def supervisor(events: list[str]) -> Iterator[Supervisor]:
    """One that keeps what it tells."""
    made = Supervisor(CLOCK, on_line=lambda _name, _line: None, on_event=events.append)
    yield made
    made.stop()


def program(code: str, folder: Path, **more: object) -> Program:
    """A Python program called `fragile`."""
    command = [sys.executable, "-c", code]
    return Program("fragile", lambda: command, dict(os.environ), folder, **more)  # type: ignore[arg-type]


def turn_until(supervisor: Supervisor, reached: Callable[[], object]) -> None:
    """Let the supervisor work until a condition holds."""
    deadline = CLOCK.monotonic() + 60
    while not reached():
        assert CLOCK.monotonic() < deadline
        supervisor.tick(0.05)


def test_a_program_that_dies_over_and_over_is_given_up_with_its_last_words(
    supervisor: Supervisor, events: list[str], tmp_path: Path
) -> None:
    """Its exit code and the end of its log, not only that it failed."""
    supervisor.start(program("print('no such option'); raise SystemExit(3)", tmp_path))
    turn_until(supervisor, lambda: len(events) == 2)
    supervisor.raise_if_hopeless(3)
    turn_until(supervisor, lambda: "fragile" in supervisor.pids)
    assert supervisor.tail("fragile") == ["no such option"]
    turn_until(supervisor, lambda: len(events) == 3)
    with pytest.raises(SisgateError, match=r"exit code 3 .*3 times in a row") as raised:
        supervisor.raise_if_hopeless(3)
    assert raised.value.message.endswith("\n  no such option")


def test_a_program_may_change_something_before_it_is_started_again(
    supervisor: Supervisor, events: list[str], tmp_path: Path
) -> None:
    """Asked with how it ended; what it says is told."""
    cured = tmp_path / "cured"
    code = f"import os, sys, time\nos.path.exists({str(cured)!r}) or sys.exit('bad file')\n"
    asked = []

    def cure(code: int, tail: list[str]) -> str:
        asked.append((code, tail))
        cured.touch()
        return "put aside"

    supervisor.start(program(code + "print('ok')\ntime.sleep(60)", tmp_path, on_crash=cure))
    turn_until(supervisor, lambda: supervisor.tail("fragile") == ["ok"])
    assert asked == [(1, ["bad file"])]
    assert events[-1] == "put aside"


def test_a_program_that_cannot_be_started_again_now_is_tried_later(
    supervisor: Supervisor, events: list[str], tmp_path: Path
) -> None:
    """A full disk or a taken port is no end of the supervisor."""
    calls = iter([None, OSError("no space"), None])

    def command() -> list[str]:
        if (error := next(calls, None)) is not None:
            raise error
        return [sys.executable, "-c", "raise SystemExit(1)"]

    supervisor.start(Program("fragile", command, dict(os.environ), tmp_path))
    turn_until(supervisor, lambda: len(events) == 3)
    assert all("starts again" in event for event in events)
