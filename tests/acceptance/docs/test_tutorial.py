"""The tutorial, the README's example and the recipes run as they are written."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from sisgate.clock import SystemClock, poll_until
from sisgate.embedded.redis_conf import free_port
from testbed.stack import PATIENCE_SECONDS

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"(?:`(\w+\.\w+)`[^`\n]*:\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What only shows something may be run again until it shows what the page has.
SHOWS = re.compile(r"sisgate (?:providers|breaker$|audit|jobs (?:list|show))")
AN_ID = "2af34d6f"
A_WHILE = r"[\d.]+ (?:ms|s|min|h)(?: [\d.]+ (?:s|min))?"
# The pages whose Python is run against the stack, after these lines.
RUN = ("docs/how-to/recipes.md", "docs/how-to/follow-a-dataset.md", "docs/reference/gateway.md")
SETUP = """\
from sisgate import Gateway
gateway = Gateway.from_env(app="recipes")
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Reader"]:
    """Whoever has done the first page. Only the sandbox's port is another one."""
    with ExitStack() as stack:
        reader = Reader(tmp_path_factory.mktemp("tutorial"), str(free_port()), stack)
        reader.read("first-sync")
        yield reader


def test_the_app_of_the_tutorial_and_the_readme(reader: "Reader") -> None:
    """They enqueue, read, follow changes and make one call."""
    reader.read("from-an-app")
    (example,) = re.findall(r"```python\n(.*?)\n```", text_of("README.md"), re.DOTALL)
    shown = reader.python(example)
    assert "done: " in shown
    assert re.search(r"^200 \d+ bytes$", shown, re.MULTILINE)


@pytest.mark.parametrize("page", RUN)
def test_python_of_a_page(reader: "Reader", page: str) -> None:
    """Block after block in one program."""
    blocks = re.findall(r"```python\n(.*?)\n```", text_of(page), re.DOTALL)
    reader.python(SETUP + "\n".join(b for b in blocks if "PASSWORD" not in b))


def test_the_outage_of_the_tutorial(reader: "Reader") -> None:
    """The sandbox stops, and is started again on the way."""
    reader.stop("sisgate sandbox")
    reader.read("when-the-sis-is-down")


class Reader:
    """Someone who copies each block of a page: files, commands, and commands that go on."""

    def __init__(self, folder: Path, port: str, stack: ExitStack) -> None:
        self._folder, self._port, self._stack = folder, port, stack
        self._exports: list[str] = []
        self._terminals: dict[str, ExitStack] = {}

    def read(self, name: str) -> None:
        """Do what a page says, and compare what is shown with what it shows."""
        page = text_of(f"docs/tutorial/{name}.md").replace("7701", self._port)
        blocks = [*BLOCK.findall(page), ("", "", "")]
        for (file, kind, body), (_, next_kind, shown) in pairwise(blocks):
            expected = shown if next_kind == "text" else ""
            if file:
                (self._folder / file).write_text(body, "utf-8")
            elif kind == "sh" and re.match(r"sisgate (?:sandbox|up)\b", body):
                until = expected.rstrip().rpartition("\n")[2] or "Serving until Ctrl-C."
                self._start(body, until)
            elif kind == "sh":
                self._type(body, expected)

    def python(self, code: str) -> str:
        """Run a program, and return what it printed."""
        return self._shell("python - <<'END'\n" + code + "\nEND\n")

    def stop(self, command: str) -> None:
        """Press Ctrl-C in the terminal of a command."""
        self._terminals.pop(command).close()

    def _start(self, command: str, until: str) -> None:
        mine = self._stack.enter_context(ExitStack())
        mine.enter_context(terminal(command, self._folder, until=until))
        self._terminals[" ".join(command.split()[:2])] = mine

    def _type(self, commands: str, expected: str) -> None:
        if AN_ID in commands:
            newest = json.loads(self._shell("sisgate jobs list -n 1 --json"))[0]["id"]
            commands, expected = (t.replace(AN_ID, newest[:8]) for t in (commands, expected))
        self._exports += [line for line in commands.splitlines() if line.startswith("export ")]
        fails = expected.startswith("error: ")
        missing = difference(self._shell(commands, fails=fails), expected)
        if missing and all(SHOWS.match(line) for line in commands.splitlines()):
            assert poll_until(
                lambda: difference(self._shell(commands), expected) is None,
                clock=SystemClock(),
                timeout_seconds=PATIENCE_SECONDS * 2,
                every_seconds=0.5,
            ), missing
        else:
            assert missing is None, missing

    def _shell(self, commands: str, *, fails: bool = False) -> str:
        ended = subprocess.run(
            ["sh", "-e"],
            input="\n".join([*self._exports, commands]),
            cwd=self._folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if fails else subprocess.PIPE,
            text=True,
            timeout=PATIENCE_SECONDS * 3,
            check=False,
        )
        assert (ended.returncode != 0) == fails, f"{commands}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout


def difference(shown: str, expected: str) -> str | None:
    """Return the first line of a page that was not shown in its place; None if all were.

    Numbers, times and ids may be others, `…` is anything, and lines may be folded elsewhere.
    """
    text, at = re.sub(r"[\s─]+", " ", shown), 0
    for line in expected.splitlines():
        found = re.compile(_pattern(line)).search(text, at)
        if found is None:
            return f"the page shows: {line}\nthe command shows: {shown}"
        at = found.end()
    return None


def _pattern(line: str) -> str:
    pattern = re.escape(re.sub(r"\s+", " ", line.strip()))
    pattern = re.sub(r"[0-9a-f]{8}(?:\\-[0-9a-f]{4}){3}\\-[0-9a-f]{12}", "[0-9a-f-]{36}", pattern)
    pattern = pattern.replace(AN_ID, "[0-9a-f]{8}")
    pattern = re.sub(r"\d{4}\\-\d\d\\-\d\d", "[0-9-]{10}", pattern)
    pattern = re.sub(r"(?<![{,\w-])\d[\d.,\\]*\\ s(?!\w)", lambda _: A_WHILE, pattern)
    pattern = re.sub(r"(?<![{,\w-])\d[\d,]*(?![}\w-])", r"[\\d,]+", pattern)
    # A planner may be quicker than the command that shows what was accepted.
    pattern = pattern.replace("accepted", "(?:accepted|running)")
    return pattern.replace("…", ".*?").replace(r"\ ", " ")


def text_of(name: str) -> str:
    """A page below the repository's root."""
    return (ROOT / name).read_text("utf-8")


@contextmanager
def terminal(command: str, folder: Path, *, until: str) -> Iterator[None]:
    """Run a command until Ctrl-C, from when it has said that it is ready."""
    running = subprocess.Popen(
        ["sh", "-c", f"exec {command.strip()}"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout is not None
    try:
        shown = []
        for line in running.stdout:
            shown.append(line)
            if until in line:
                break
        assert until in "".join(shown[-1:]), "".join(shown)
        yield
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=PATIENCE_SECONDS)


def environment() -> dict[str, str]:
    """That of a shell in which this project's environment is active, in a window of some width."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SISGATE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    return {**own, "PATH": path, "COLUMNS": "130"}
