"""How things look: numbers, times, states, prefixed log lines, command lines to copy."""

from __future__ import annotations

import shlex
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path

from rich.text import Text

from sisgate.domain import moments
from sisgate.settings import Settings
from sisgate.settings.load import config_candidates, default_data_dir

duration, moment = moments.duration, moments.local_time

CHILD_COLOURS = {"redis": "red", "worker": "green", "beat": "yellow", "flower": "magenta"}
COLOURS = {
    "done": "green",
    "running": "cyan",
    "accepted": "blue",
    "held": "yellow",
    "cancelled": "yellow",
    "expired": "red",
    "failed": "red",
    "unknown": "magenta",
    "staged": "blue",
    "canary": "cyan",
    "active": "green",
    "draining": "yellow",
    "retired": "dim",
    "revoked": "red",
    "closed": "green",
    "half-open": "yellow",
    "open": "bold red",
}
"""Of the words for states of jobs, keys, tokens and breakers, wherever they are shown."""


def state(word: str) -> Text:
    """Return the word for a state in its colour."""
    return Text(word, COLOURS.get(word, ""))


def number(value: int | None) -> str:
    """Return a number with separators.

    >>> number(12345), number(None)
    ('12,345', '-')
    """
    return "-" if value is None else f"{value:,}"


def short_moment(value: datetime) -> str:
    """Return month, day and time in the machine's own zone, for a column that names the zone."""
    return f"{value.astimezone():%m-%d %H:%M}"


def zone_name(now: datetime) -> str:
    """Return the name of the machine's own time zone."""
    return f"{now.astimezone():%Z}"


def clock_time(now: datetime, seconds: float) -> str:
    """Return the local time of day in `seconds` from now, with its zone."""
    return f"{(now + timedelta(seconds=seconds)).astimezone():%H:%M %Z}"


def child_line(name: str, line: str) -> Text:
    """Return a line of a child's log behind its name."""
    return Text.assemble((f"{name:<7} | ", CHILD_COLOURS.get(name, "bold cyan")), Text(line))


def commands_of(settings: Settings) -> str:
    """Return the words that a command line for these settings begins with."""
    words = [program()]
    if settings.data_dir != default_data_dir().absolute():
        words += ["--data-dir", shown_path(settings.data_dir)]
    config = settings.config_file
    if config is not None and config not in config_candidates(settings.data_dir):
        words += ["--config", shown_path(config)]
    return " ".join(words)


def program() -> str:
    """Return how this program was called: `sisgate`, or its path where PATH doesn't lead to it."""
    called = Path(sys.argv[0])
    if called.name != "sisgate" or shutil.which("sisgate") == str(called.absolute()):
        return "sisgate"
    return shown_path(called.absolute())


def shown_path(path: Path) -> str:
    """Return a path as a shell reads it, relative where that is shorter."""
    here = Path.cwd()
    short = path.relative_to(here) if path.is_relative_to(here) else path
    return shlex.quote(str(short))
