"""The `sisgate` command as a user runs it, on its own data folder."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.command_line import typed
from testbed.stack import PATIENCE_SECONDS, wait_until

SISGATE = (sys.executable, "-m", "sisgate.cli")
SERVERS = {"serve", "up"}
"""Commands that go on until somebody ends them."""


class Command:
    """Runs `sisgate` on one data folder, and starts and stops `sisgate up` there.

    A command runs within this process, unless it serves or `program` says what to start.
    """

    def __init__(
        self, folder: Path, config: str | None = None, *, program: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self._program = program
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SISGATE_") and name != "FORCE_COLOR"
        }
        self.config = folder / "sisgate.toml"
        if config is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.config.write_text(config, encoding="utf-8")
        self._up: subprocess.Popen[str] | None = None
        self.ready: dict[str, Any] = {}
        """What `sisgate up` said when it was up."""

    def __call__(
        self,
        *words: str,
        code: int = 0,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command and check its exit code."""
        everything = {**self.environment, **(environment or {})}
        all_words = ("--data-dir", str(self.folder), *words)
        ended = (
            self._run(all_words, stdin, everything)
            if self._program or SERVERS.intersection(words[:1])
            else typed(all_words, folder=self.folder.parent, environment=everything, stdin=stdin)
        )
        assert ended.returncode == code, (
            f"{words}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        )
        assert "Traceback" not in ended.stderr
        return ended

    def _run(
        self, words: Sequence[str], stdin: str, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*(self._program or SISGATE), *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS * 2,
            cwd=self.folder.parent,
            env=environment,
            check=False,
        )

    def json(self, *words: str, code: int = 0, **more: Any) -> Any:
        """Run a command with `--json` and return what it wrote: one value, and nothing else."""
        return json.loads(self(*words, "--json", code=code, **more).stdout)

    def up(self, *words: str) -> subprocess.Popen[str]:
        """Start `sisgate up` and return its process once work can be enqueued.

        Without the HTTP service, unless the words ask for it.
        """
        words = (*words, *(() if "--web" in words else ("--no-web",)))
        program = self._program or SISGATE
        with (self.folder.parent / "up.log").open("a") as log:
            self._up = subprocess.Popen(
                [*program, "--data-dir", str(self.folder), "up", "--json", *words],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.folder.parent,
                env=self.environment,
            )
        assert self._up.stdout is not None
        line = self._up.stdout.readline()
        assert line, (self.folder.parent / "up.log").read_text()
        self.ready = json.loads(line)
        assert self.ready["event"] == "ready"
        return self._up

    def down(self, number: int = signal.SIGINT) -> int:
        """Stop `sisgate up` as Ctrl-C does and return its exit code."""
        process, self._up = self._up, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        code = process.wait(PATIENCE_SECONDS)
        assert process.stdout is not None
        process.stdout.close()
        return code

    def pids(self) -> dict[str, int]:
        """The programs that `sisgate up` says it runs."""
        try:
            found: dict[str, int] = json.loads((self.folder / "up.json").read_text())["programs"]
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def processes(self) -> list[str]:
        """The command lines of all processes that name the data folder, or were told of it."""
        needle, found = str(self.folder).encode(), []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "cmdline").read_bytes()
                known = words + (entry / "environ").read_bytes()
            except OSError:
                continue
            if words and needle in known:
                found.append(words.replace(b"\0", b" ").decode())
        return found

    def wait_until_gone(self) -> None:
        """Return when no process of the folder is left."""
        wait_until(lambda: not self.processes(), f"the end of {self.processes()}")
