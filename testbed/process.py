"""A server process of the test run: started on a leash, awaited, stopped with its folder."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from sisgate.clock import SystemClock, poll_until
from testbed import leash

START_SECONDS = 60.0


class ServerDidNotStart(RuntimeError):
    """The run cannot go on: a server that the tests need did not start. Never a reason to skip."""


class LeashedServer:
    """`command` running in `folder` as `user`, until `stop` or the end of this process."""

    def __init__(self, command: list[str], *, folder: Path, user: str = "") -> None:
        self.folder = folder
        self.log_path = folder / "server.log"
        self._name = Path(command[0]).name
        with self.log_path.open("wb") as log:
            self._leash = subprocess.Popen(
                [sys.executable, "-S", leash.__file__, str(folder), user, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal is for pytest, which then lets go in order.
                start_new_session=True,
            )

    def wait_end(self) -> None:
        """Return when the server has ended by itself, or was killed; its folder goes with it."""
        self._leash.wait(START_SECONDS)
        self.stop()

    def wait_ready(self, ready: Callable[[], bool]) -> None:
        """Return when `ready` is true; `ServerDidNotStart` with the log when that never comes."""
        done = poll_until(
            lambda: self._leash.poll() is not None or ready(),
            clock=SystemClock(),
            timeout_seconds=START_SECONDS,
            every_seconds=0.02,
        )
        if not done or self._leash.poll() is not None:
            log = self.log_path.read_text("utf-8", "replace")
            self.stop()
            raise ServerDidNotStart(f"{self._name} did not start. Its log:\n{log}")

    def stop(self) -> None:
        """Stop the server and remove its folder. May be called twice."""
        if self._leash.stdin is not None:
            self._leash.stdin.close()
        self._leash.wait(leash.GRACE_SECONDS * 4)
        shutil.rmtree(self.folder, ignore_errors=True)


def server_folder(user: str = "") -> Path:
    """Make a folder with a short path (a Unix socket's path has 107 characters at most)."""
    folder = Path(tempfile.mkdtemp(prefix="sisgate-", dir="/tmp"))
    if user:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    return folder
