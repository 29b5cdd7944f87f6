"""Formats numbers, times, states, log lines and command lines."""

from __future__ import annotations

import shlex
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from sisgate.domain import figures, moments

if TYPE_CHECKING:
    from sisgate.settings import Settings

duration, number, counted, percent, figures_text = (
    figures.duration, figures.number, figures.counted, figures.percent, figures.figures_text
)  # fmt: skip
moment = moments.local_time

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
    "paused": "yellow",
    "failing": "red",
    "ended": "yellow",
    "delivered": "green",
    "dead": "red",
    "closed": "green",
    "half-open": "yellow",
    "open": "bold red",
}
"""Colours of the states of jobs, keys, tokens, webhooks and breakers."""


def state(word: str) -> Text:
    """Return a state in its colour."""
    return Text(word, COLOURS.get(word, ""))


def short_moment(value: datetime) -> str:
    """Format month, day and local time, without the zone."""
    return f"{value.astimezone():%m-%d %H:%M}"


def zone_name(now: datetime) -> str:
    """Return the name of the local time zone."""
    return f"{now.astimezone():%Z}"


def clock_time(now: datetime, seconds: float) -> str:
    """Format the local time of day `seconds` after `now`, with its zone."""
    return f"{(now + timedelta(seconds=seconds)).astimezone():%H:%M %Z}"


def child_line(name: str, line: str) -> Text:
    """Return a line of a child's log, prefixed with its name."""
    return Text.assemble((f"{name:<7} | ", CHILD_COLOURS.get(name, "bold cyan")), Text(line))


def commands_of(settings: Settings) -> str:
    """Return the beginning of a command line for these settings."""
    from sisgate.settings.load import config_candidates, default_data_dir

    parts = [program()]
    if settings.data_dir != default_data_dir().absolute():
        parts += ["--data-dir", shown_path(settings.data_dir)]
    config = settings.config_file
    if config is not None and config not in config_candidates(settings.data_dir):
        parts += ["--config", shown_path(config)]
    return " ".join(parts)


def program() -> str:
    """Return `sisgate`, or the path of this program if PATH does not lead to it."""
    path = Path(sys.argv[0])
    if path.name != "sisgate" or shutil.which("sisgate") == str(path.absolute()):
        return "sisgate"
    return shown_path(path.absolute())


def shown_path(path: Path) -> str:
    """Return a path quoted for a shell, relative to the working directory where possible."""
    folder = Path.cwd()
    short = path.relative_to(folder) if path.is_relative_to(folder) else path
    return shlex.quote(str(short))
