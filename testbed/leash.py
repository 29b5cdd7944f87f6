"""Run a server that cannot outlive the tests: `python leash.py FOLDER USER COMMAND...`.

The leash is standard input. When that ends, because the tests let go or because pytest was
killed, the server is stopped and FOLDER is removed. USER is empty, or the account that the server
runs as. Imports nothing of the project, so that it starts at once.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from typing import Any

GRACE_SECONDS = 5.0


def main(folder: str, user: str, command: list[str]) -> int:
    """Run the server until standard input ends or the server does; return its exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The end of the tests is told by standard input alone. A handler, unlike SIG_IGN, is not
        # inherited by the server.
        signal.signal(number, lambda *_: None)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=folder, **as_user(user))
    released = threading.Event()

    def stop_when_released() -> None:
        # Not sys.stdin: its lock would hold up the end of the interpreter.
        while os.read(0, 1024):
            pass
        released.set()
        # A fast shutdown to PostgreSQL, an ordinary one to Redis.
        server.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(GRACE_SECONDS)
            return
        server.kill()

    threading.Thread(target=stop_when_released, daemon=True).start()
    status = server.wait()
    if released.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return status


def as_user(user: str) -> dict[str, Any]:
    """Return the arguments of `subprocess` that run a program as `user`; empty: as ourselves."""
    if not user:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": ()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
