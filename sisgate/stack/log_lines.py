"""Which lines of the programs' logs a person sees, and how."""

from __future__ import annotations

import re

_QUIET = re.compile(
    r"\[(debug|info)\s*\]|: (DEBUG|INFO)/|^\[I |^\s*$"
    # Flower asks the worker before it has started, and asks again later.
    r"|Inspect method \w+ failed|: Warm shutdown"
)
_REDIS_TROUBLE = re.compile(r"error|fatal|can't|failed|denied|misconf|out of memory", re.IGNORECASE)

_LOST = re.compile(r"WorkerLostError.*?(?:signal (?P<number>\d+)|exitcode|$)")
_BEGINNING = re.compile(r"^\[?\d{4}-\d\d-\d\d[ T]|^\[[A-Z] \d{6} |^\[\w+ *\]")
"""How a record of a log begins. What follows without it belongs to the record before."""


class LogLines:
    """Condenses the lines of one program as they come; `shown` returns what to show of each."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_within_lost = False

    def shown(self, line: str) -> str | None:
        """Return the line as a person sees it, or None where there is nothing to see.

        >>> lines = LogLines("worker")
        >>> lines.shown("[2026-11-23 11:45:23,355: INFO/MainProcess] ready")
        >>> lost = "Task handler raised error: WorkerLostError('… signal 9 (SIGKILL) …')"
        >>> lines.shown(f"[2026-11-23 11:45:23,355: ERROR/MainProcess] {lost}")
        'a process was killed in the middle of a task (signal 9); the task is done again'
        >>> lines.shown("Traceback (most recent call last):")
        >>> lines.shown("[2026-11-23 11:45:24,001: ERROR/MainProcess] other")
        '[2026-11-23 11:45:24,001: ERROR/MainProcess] other'
        """
        if self._name == "redis":
            # Its notices at the start say nothing about this machine that can be mended from here.
            trouble = "overcommit" not in line and _REDIS_TROUBLE.search(line) is not None
            return line if trouble else None
        if _BEGINNING.match(line) or not self._is_within_lost:
            lost = _LOST.search(line)
            self._is_within_lost = lost is not None
            if lost is not None:
                how = f" (signal {lost['number']})" if lost["number"] else ""
                return f"a process was killed in the middle of a task{how}; the task is done again"
        elif self._is_within_lost:
            return None
        return None if _QUIET.search(line) else line
