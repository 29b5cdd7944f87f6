"""Output: results go to stdout (with `--json`, only JSON), messages to stderr."""

import csv
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.segment import Segment
from rich.text import Text

from sisgate.cli.exits import ExitCode, exit_code
from sisgate.cli.tables import CONTROLS, Columns, Facts, Grid, Prose
from sisgate.errors import SisgateError

PIPED_WIDTH = 200
"""Width of output to a pipe or file; COLUMNS overrides it."""

_HARMFUL = {code: shown for code, shown in CONTROLS.items() if code not in {ord("\t"), ord("\n")}}

_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d\s().,/-]*$)")
"""How a text begins that a spreadsheet takes for a formula; numbers and telephone numbers don't."""


class Presenter:
    """Writes the results and messages of one command.

    `result`, `table` and `facts` write text or, with `--json`, JSON. rich omits colours for
    NO_COLOR and outside a terminal.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    @property
    def is_live(self) -> bool:
        """Whether stderr can show progress bars."""
        return self.err.is_terminal and not self.err.is_dumb_terminal

    def result(self, value: Any, text: str | Text) -> None:
        """Show a result, as `text` or as JSON."""
        self.json(value)
        self.show(text)

    def table(
        self, rows: Iterable[Any], columns: Columns, *, json: Any = None, empty: str = ""
    ) -> None:
        """Show rows as a table, or `empty` without any; with `--json`, write `json` or the rows."""
        listed = list(rows)
        if self.as_json:
            self.json(listed if json is None else json)
        elif listed or not empty:
            self.show(Grid(columns, listed))
        else:
            self.show(Text(empty, "dim"))

    def facts(self, rows: Iterable[tuple[str, object]], *, json: Any) -> None:
        """Show names and values, leaving out None; with `--json`, write `json`."""
        self.json(json)
        self.show(Facts(list(rows)))

    def show(self, renderable: RenderableType) -> None:
        """Show a table, a panel or a line; nothing with `--json`."""
        if not self.as_json:
            _print(self.out, renderable)

    def command(self, line: str) -> None:
        """Show a command line to copy, unwrapped."""
        if not self.as_json:
            self.out.print(Text(f"  {line}", "cyan"), soft_wrap=True)

    def json(self, value: Any) -> None:
        """With `--json`, write a value as one line."""
        if self.as_json:
            write_line(to_json(value))

    def note(self, text: str | Text) -> None:
        """Write a message to stderr."""
        _print(self.err, text)

    def warn(self, text: str) -> None:
        """Write a warning to stderr."""
        self.note(Text.assemble(("warning: ", "yellow"), text))

    def error(self, error: SisgateError) -> None:
        """Write an error to stderr; the command continues."""
        self.note(Text.assemble(("error: ", "bold red"), str(error)))

    def fail(self, error: SisgateError) -> ExitCode:
        """Report the error that ends the command: on stderr, and with `--json` also on stdout."""
        self.error(error)
        self.json({"error": error})
        return exit_code(error)

    @contextmanager
    def progress(self, *, is_shown: bool = True) -> Iterator[Progress]:
        """Show progress bars until the context ends, on stderr, or below results on a terminal."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        is_off = not (is_shown and self.is_live)
        console = self.out if self.out.is_terminal else self.err
        with Progress(*columns, console=console, disable=is_off) as bars:
            yield bars


def to_json(value: Any) -> str:
    """Return one line of JSON.

    Objects are written by their `as_dict` or dataclass fields, times in ISO 8601, lengths of time
    in seconds, everything else as text.
    """
    return json.dumps(value, ensure_ascii=False, default=_plain)


def write_line(text: str) -> None:
    """Write a line to stdout, without markup, wrapping or colours."""
    sys.stdout.write(f"{_harmless(text)}\n")
    sys.stdout.flush()


def write_lines(lines: Iterable[str], *, at_once: bool = False) -> None:
    """Write lines to stdout, flushing each if `at_once`."""
    for line in lines:
        sys.stdout.write(f"{_harmless(line)}\n")
        if at_once:
            sys.stdout.flush()
    sys.stdout.flush()


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to stdout as CSV, ignoring fields without a column.

    A spreadsheet would run what looks like a formula, and people may choose their own names: such
    a text gets an apostrophe before it.
    """
    out: Any = _Terminal if sys.stdout.isatty() else sys.stdout
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    sys.stdout.flush()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


class _Terminal:
    """Stdout of somebody who looks: controls in data stay there."""

    @staticmethod
    def write(text: str) -> None:
        """Write text as it is shown."""
        sys.stdout.write(text.translate(_HARMFUL))


class _Console(Console):
    """Shows the controls in texts, which a service or provider may have written, as `�`."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for each in super().render(renderable, options):
            if each.control or each.text.isprintable():
                yield each
            else:
                yield Segment(each.text.translate(_HARMFUL), each.style)


def _harmless(text: str) -> str:
    """Return a text as a terminal may show it; unchanged for a pipe or file."""
    return text.translate(_HARMFUL) if sys.stdout.isatty() else text


def _print(console: Console, what: RenderableType) -> None:
    if isinstance(what, str | Text):
        what = Prose(what) if console.is_terminal else what
    # The terminal wraps long lines, so that copying gives them whole.
    console.print(what, soft_wrap=True)


def _console(*, stderr: bool) -> Console:
    # Data is not markup: `keys:key:add` holds no emoji, and no name is a colour.
    plain = partial(_Console, stderr=stderr, highlight=False, markup=False, emoji=False)
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
