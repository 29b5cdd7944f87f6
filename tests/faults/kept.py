"""A process that is kept running, as systemd or a container runtime would."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from testbed.mortal import children_of
from testbed.warm import Program, start


class Kept:
    """One `python -m WORDS` in a session of its own, started again by `keep` when it has ended."""

    def __init__(
        self,
        name: str,
        words: list[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        is_asked: bool = False,
    ) -> None:
        self.name = name
        self.log_path = folder / f"{name}.log"
        self._words = words
        self._environment = dict(environment)
        self._is_asked = is_asked
        self._process: Program | None = None
        self._orders: IO[bytes] | None = None
        self.starts = 0
        self._is_lost = False

    @property
    def pid(self) -> int:
        """The process, or 0 when there is none."""
        alive = self._process is not None and self._process.poll() is None
        return self._process.pid if alive and self._process else 0

    @property
    def log(self) -> str:
        """What it has said, in all its lives."""
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    @property
    def children(self) -> list[int]:
        """Its pool."""
        return children_of(self.pid) if self.pid else []

    def keep(self) -> None:
        """Start it unless it runs, or is lost."""
        if self.pid or self._is_lost:
            return
        self._clear()
        if self._is_asked:
            with self.log_path.open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", *self._words], env=self._environment,
                    stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            self._process, self._orders = process, process.stdin
        else:
            self._process = start(self._words, self._environment, self.log_path)
        self.starts += 1

    def tell(self, order: Mapping[str, Any]) -> None:
        """Write a line to it; lost when it has ended, as an order to an app that died."""
        if self._orders is None:
            return
        with contextlib.suppress(OSError):
            self._orders.write(json.dumps(order).encode() + b"\n")
            self._orders.flush()

    def kill(self) -> None:
        """SIGKILL its parent process alone."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL it and its children at once, as a lost machine would."""
        if self.pid:
            os.killpg(self.pid, signal.SIGKILL)

    def lose(self) -> None:
        """Kill it with its children, and never start it again."""
        self._is_lost = True
        self.kill_all()

    def end(self) -> None:
        """Stop it in order, and by force where that does not come."""
        if self.pid and self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self._clear()

    def _clear(self) -> None:
        """Reap what is left of the last start, children without a parent as well."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        orders, self._orders = self._orders, None
        if orders is not None:
            with contextlib.suppress(OSError):
                orders.close()
