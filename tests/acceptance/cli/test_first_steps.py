"""README's First steps and its example run as they are written, by a user who copies them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sisgate.embedded.redis_conf import free_port
from testbed.stack import PATIENCE_SECONDS

README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")


def test_the_first_steps_and_the_example_run_as_they_are_written(tmp_path: Path) -> None:
    """Only the sandbox's port is another one, because tests share a machine."""
    folder, elsewhere = tmp_path / "new", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    steps = README.split("## First steps")[1].split("\n## ")[0].replace("7701", str(free_port()))
    sandbox, toml, up, rest = re.findall(r"```(?:toml)?\n(.*?)\n *```", steps, re.DOTALL)
    (example,) = re.findall(r"```python\n(.*?)\n```", README, re.DOTALL)
    (folder / "sisgate.toml").write_text(toml, "utf-8")
    (elsewhere / "app.py").write_text(example, "utf-8")
    with ExitStack() as terminals:
        terminals.enter_context(terminal(sandbox, folder, until="Serving"))
        terminals.enter_context(terminal(up, folder, until="sisgate is up"))
        shown = shell(rest, folder)
        assert "sourcedId" in shown
        # Another app's folder, with the one variable that the steps have set.
        variable = f"SISGATE_DATA_DIR={folder / 'data'}"
        shown = shell(f"export {variable}\nsisgate providers\npython app.py", elsewhere)
        assert "powerschool" in shown
        assert "done: " in shown
        assert re.search(r"^200 \d+ bytes$", shown, re.MULTILINE)


def shell(commands: str, folder: Path) -> str:
    """Run lines in a shell that stops at the first failure, and return what they showed."""
    ended = subprocess.run(
        ["sh", "-e"],
        input=commands,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS * 3,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


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
    """That of a shell in which this project's environment is active."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SISGATE_")}
    return {**own, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"}
