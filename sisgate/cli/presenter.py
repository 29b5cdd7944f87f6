"""Where words go: results to stdout, everything else to stderr, and with `--json` only JSON."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from sisgate.cli.exits import ExitCode, exit_code
from sisgate.cli.tables import Columns, Facts, Grid, Prose
from sisgate.errors import SisgateError

PIPED_WIDTH = 200
"""Columns of what goes into a pipe or file, which has no width of its own; COLUMNS sets another."""


class Presenter:
    """The two streams of one command, and the one presenter of what it found.

    `result`, `table` and `facts` show a thing to people, or write it as JSON where that was asked
    for. rich leaves colours out for NO_COLOR and for no terminal.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    @property
    def is_live(self) -> bool:
        """Whether bars can move on stderr."""
        return self.err.is_terminal and not self.err.is_dumb_terminal

    def result(self, value: Any, text: str | Text) -> None:
        """Show what a command did, as a sentence or as JSON."""
        self.json(value)
        self.show(text)

    def table(
        self, rows: Iterable[Any], columns: Columns, *, json: Any = None, empty: str = ""
    ) -> None:
        """Show rows as a table, or as JSON: `json`, or else the rows. Without any, show `empty`."""
        found = list(rows)
        if self.as_json:
            self.json(found if json is None else json)
        elif found or not empty:
            self.show(Grid(columns, found))
        else:
            self.show(Text(empty, "dim"))

    def facts(self, rows: Iterable[tuple[str, object]], *, json: Any) -> None:
        """Show names and values side by side without those that are None, or `json`."""
        self.json(json)
        self.show(Facts(list(rows)))

    def show(self, renderable: RenderableType) -> None:
        """Show a table, a panel or a line to people; nothing with `--json`."""
        if not self.as_json:
            _print(self.out, renderable)

    def command(self, line: str) -> None:
        """Show a command line to be copied: it is never folded."""
        if not self.as_json:
            self.out.print(Text(f"  {line}", "cyan"), soft_wrap=True)

    def json(self, value: Any) -> None:
        """Write one JSON value as one line, if `--json` was asked for."""
        if self.as_json:
            write_line(to_json(value))

    def note(self, text: str | Text) -> None:
        """Say something beside the result, on stderr."""
        _print(self.err, text)

    def warn(self, text: str) -> None:
        """Say on stderr what a person should know."""
        self.note(Text.assemble(("warning: ", "yellow"), text))

    def error(self, error: SisgateError) -> None:
        """Say on stderr that one of several things went wrong; the command goes on."""
        self.note(Text.assemble(("error: ", "bold red"), str(error)))

    def fail(self, error: SisgateError) -> ExitCode:
        """Report the error that ends the command, on stderr and with `--json` also on stdout."""
        self.error(error)
        self.json({"error": error})
        return exit_code(error)

    @contextmanager
    def progress(self, *, is_shown: bool = True) -> Iterator[Progress]:
        """Give bars on stderr with "done of all" for work that takes long, while it lasts."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        is_off = not (is_shown and self.is_live)
        with Progress(*columns, console=self.err, disable=is_off) as bars:
            yield bars


def to_json(value: Any) -> str:
    """Return one line of JSON.

    An object is what its `as_dict` returns, or the fields of its dataclass. Times are in ISO 8601,
    lengths of time in seconds, and what else is not JSON as text.
    """
    return json.dumps(value, ensure_ascii=False, default=_plain)


def write_line(text: str) -> None:
    """Write a line to stdout as it is, without markup, wrapping or colours."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def write_lines(lines: Iterable[str], *, at_once: bool = False) -> None:
    """Write lines to stdout as they come, each flushed if `at_once`."""
    for line in lines:
        sys.stdout.write(f"{line}\n")
        if at_once:
            sys.stdout.flush()
    sys.stdout.flush()


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to stdout as CSV; what stands in no column is left out."""
    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    sys.stdout.flush()


def _print(console: Console, what: RenderableType) -> None:
    if isinstance(what, str | Text):
        what = Prose(what) if console.is_terminal else what
    # What is longer than the terminal is for the terminal to wrap.
    console.print(what, soft_wrap=True)


def _console(*, stderr: bool) -> Console:
    # What is shown is data: `keys:key:add` holds no emoji, and nobody's name is a colour.
    plain = partial(Console, stderr=stderr, highlight=False, markup=False, emoji=False)
    console = plain()
    if console.is_terminal:
        return console
    return plain(width=shutil.get_terminal_size((PIPED_WIDTH, 0)).columns)


def _plain(value: Any) -> Any:
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    match value:
        case Mapping():
            return dict(value)
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
    return str(value)
