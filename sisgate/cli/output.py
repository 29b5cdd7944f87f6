"""Where words go: results to stdout, everything else to stderr, and with `--json` only JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from sisgate.errors import SisgateError

PIPED_WIDTH = 200
"""Columns of a table that goes into a pipe or file, which has no width of its own."""


NARROW_WIDTH = 100
"""Below this a table has fewer columns instead of folded cells."""


class Output:
    """The two streams of one command. rich leaves colours out for NO_COLOR and for no terminal."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    @property
    def is_live(self) -> bool:
        """Whether bars can move on stderr."""
        return self.err.is_terminal and not self.err.is_dumb_terminal

    @property
    def is_narrow(self) -> bool:
        """Whether a table leaves out its less important columns."""
        return self.out.width < NARROW_WIDTH

    def show(self, renderable: RenderableType) -> None:
        """Show a table, a panel or a line to people; nothing with `--json`."""
        if not self.as_json:
            self.out.print(renderable)

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
        words = text if isinstance(text, Text) else Text(text)
        self.err.print(words, soft_wrap=not self.err.is_terminal)

    def warn(self, text: str) -> None:
        """Say on stderr what a person should know."""
        self.note(Text.assemble(("warning: ", "yellow"), text))

    def fail(self, error: SisgateError) -> None:
        """Tell an error: words on stderr, and with `--json` the same as JSON on stdout."""
        self.note(Text.assemble(("error: ", "bold red"), str(error)))
        self.json({"error": error.as_dict()})


def to_json(value: Any) -> str:
    """Return one line of JSON; times as ISO 8601, what else is not JSON as text."""
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


def _console(*, stderr: bool) -> Console:
    # What is shown is data: `keys:key:add` holds no emoji, and nobody's name is a colour.
    plain = partial(Console, stderr=stderr, highlight=False, markup=False, emoji=False)
    console = plain()
    return console if console.is_terminal else plain(width=PIPED_WIDTH)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)
