"""Run a program that ends with its parent: `python tether.py PARENT SIGNAL COMMAND...`.

The kernel sends SIGNAL to the program when the process PARENT has ended, however it ended (Linux,
`PR_SET_PDEATHSIG` of prctl(2); elsewhere nothing happens). Then this process becomes the program,
so that its id and its output are the program's. Imports nothing of the project: it starts at once.
"""

import contextlib
import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, number: int, command: list[str]) -> None:
    """Become `command`, tied to `parent`. Returns only when the parent has ended already."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    # The parent may have ended before the kernel was told.
    if os.getppid() == parent:
        os.execvp(command[0], command)  # noqa: S606 - the command is what this was started for


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
