"""Lays out tables and lists of facts without losing content on narrow terminals. Pure.

A table that fits has one line per row. Otherwise long texts wrap between words, or the last columns
move below their row as names and values, whichever takes fewer lines. No value is cut and no word
broken, so that an id can be copied from any screen.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from sisgate.cli.formats import duration, moment, number, state

Columns = Mapping[str, str | Callable[[Any], object]]
"""Column names, each with the attribute or key that it shows, or a function of the row."""

GAP = "  "
BELOW = "    "
BETWEEN = " · "
PROSE_WIDTH = 24
"""The narrowest column that text wraps in."""

_WORD = re.compile(r"[^\s`]*`[^`\n]+`\S*|\S+")
"""An unbreakable word, or a command in backticks."""
_OF_DIRECTION = (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
CONTROLS = dict.fromkeys((*range(32), *range(127, 160), 0x2028, 0x2029, *_OF_DIRECTION), "�")
"""What no value may do to a terminal: move the cursor, colour, set its title or its clipboard,
begin a line that looks like one of ours, or turn the direction of what follows."""


@dataclass(frozen=True)
class Grid:
    """A table of rows, laid out for the available width."""

    columns: Columns
    rows: Sequence[Any]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        values = [[_value(row, of) for of in self.columns.values()] for row in self.rows]
        right = {
            place
            for place in range(len(self.columns))
            if any(_is_number(row[place]) for row in values)
        }
        cells = [[shown(value) for value in row] for row in values]
        yield from _Layout(list(self.columns), cells, right, options.max_width).lines()


@dataclass(frozen=True)
class Prose:
    """A text that wraps between words, never within a command in backticks."""

    text: str | Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text if isinstance(self.text, Text) else Text(self.text)
        yield from map(_line, _folded(text, options.max_width))


@dataclass(frozen=True)
class Facts:
    """Names and values side by side, without values of None."""

    rows: Sequence[tuple[str, object]]
    style: str = "bold cyan"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [(name, shown(value)) for name, value in self.rows if value is not None]
        width = max((cell_len(name) for name, _ in rows), default=0)
        for name, value in rows:
            for place, line in enumerate(_folded(value, options.max_width - width - len(GAP))):
                label = Text((name if place == 0 else "").ljust(width), self.style)
                yield _line(label, Text(GAP), line)


def shown(value: object) -> Text:
    r"""Format a value for people: grouped numbers, local times, coloured states.

    >>> [str(shown(value)) for value in (12345, True, None, ["a", "b"], timedelta(seconds=75))]
    ['12,345', 'yes', '-', 'a, b', '1 min 15 s']

    Control characters never reach the terminal, and no value forges a row:

    >>> str(shown("\x1b[2J\nana"))
    '�[2J�ana'
    """
    match value:
        case Text():
            return value
        case None | "" | () | []:
            return Text("-")
        case bool():
            return Text("yes" if value else "no")
        case int():
            return Text(number(value))
        case datetime():
            return Text(moment(value))
        case timedelta():
            return Text(duration(value.total_seconds()))
        case Enum():
            return state(str(value.value))
        case list() | tuple():
            return Text(", ").join(shown(each) for each in value)
    return Text(str(value).translate(CONTROLS))


@dataclass(frozen=True)
class _Layout:
    header: Sequence[str]
    rows: Sequence[Sequence[Text]]
    right: set[int]
    width: int

    def lines(self) -> Iterable[Text]:
        beside = self._beside()
        widths = self._widths(beside)
        places = range(beside)
        if beside:
            heads = [[Text(self.header[place], "bold")] for place in places]
            yield self._across(heads, widths, 0)
            rules = [[Text("─" * width, "dim")] for width in widths]
            yield self._across(rules, widths, 0)
        for count, row in enumerate(self.rows):
            if not beside and count:
                yield Text()
            cells = [list(_folded(row[place], widths[place])) for place in places]
            for height in range(max(map(len, cells), default=0)):
                yield self._across(cells, widths, height)
            yield from self._below(row, beside)

    def _beside(self) -> int:
        """Return how many columns fit side by side; the rest goes below each row."""
        fitting = [
            count for count in range(1, len(self.header) + 1) if self._least(count) <= self.width
        ]
        return min(reversed(fitting), key=self._height, default=0)

    def _least(self, count: int) -> int:
        return sum(self._leasts[:count]) + len(GAP) * (count - 1)

    @cached_property
    def _leasts(self) -> list[int]:
        """The least width of each column that breaks no word."""
        longest = [
            max(
                (cell_len(word) for row in self.rows for word in _WORD.findall(row[place].plain)),
                default=0,
            )
            for place in range(len(self.header))
        ]
        return [
            min(natural, max(PROSE_WIDTH, len(name), word))
            for natural, name, word in zip(self._naturals, self.header, longest, strict=True)
        ]

    @cached_property
    def _naturals(self) -> list[int]:
        """The width of each column without wrapping."""
        return [
            max(
                cell_len(name),
                *(cell_len(line) for row in self.rows for line in row[place].plain.split("\n")),
                0,
            )
            for place, name in enumerate(self.header)
        ]

    def _widths(self, count: int) -> list[int]:
        """Return the widths of the first `count` columns; the widest shrink first."""
        widths, least = self._naturals[:count], self._leasts[:count]
        spare = self.width - len(GAP) * (count - 1)
        while sum(widths) > spare:
            widest = max(
                (place for place in range(count) if widths[place] > least[place]),
                key=widths.__getitem__,
            )
            widths[widest] -= 1
        return widths

    def _height(self, beside: int) -> int:
        """Estimate the lines of all rows with `beside` columns side by side."""
        widths, height = self._widths(beside), 0
        room = max(1, self.width - len(BELOW))
        for row in self.rows:
            height += max(-(-cell_len(row[n].plain) // widths[n]) or 1 for n in range(beside))
            rest = [
                len(self.header[n]) + 1 + cell_len(row[n].plain)
                for n in range(beside, len(self.header))
                if _is_filled(row[n])
            ]
            height += -(-(sum(rest) + len(BETWEEN) * (len(rest) - 1)) // room) if rest else 0
        return height

    def _across(self, cells: Sequence[Sequence[Text]], widths: Sequence[int], height: int) -> Text:
        parts = []
        for place, (lines, width) in enumerate(zip(cells, widths, strict=True)):
            line = lines[height] if height < len(lines) else Text()
            space = " " * (width - cell_len(line.plain))
            parts.append(Text(space) + line if place in self.right else line + Text(space))
        whole = Text(GAP).join(parts)
        whole.rstrip()
        return _line(whole)

    def _below(self, row: Sequence[Text], beside: int) -> Iterable[Text]:
        """Return lines of names and values for the columns that did not fit."""
        indent = BELOW if beside else ""
        room, line = self.width - len(indent), Text()
        for place in range(beside, len(self.header)):
            if not _is_filled(row[place]):
                continue
            item = Text.assemble((self.header[place], "dim"), " ", row[place])
            if line and cell_len(line.plain) + len(BETWEEN) + cell_len(item.plain) > room:
                yield _line(Text(indent), line)
                line = Text()
            if line:
                line += Text(BETWEEN, "dim") + item
            else:
                *full, line = _folded(item, room)
                yield from (_line(Text(indent), each) for each in full)
        if line:
            yield _line(Text(indent), line)


def _value(row: Any, of: str | Callable[[Any], object]) -> object:
    if callable(of):
        return of(row)
    return row[of] if isinstance(row, Mapping) else getattr(row, of)


def _is_number(value: object) -> bool:
    return isinstance(value, int | timedelta) and not isinstance(value, bool | Enum)


def _is_filled(cell: Text) -> bool:
    return cell.plain not in {"", "-"}


def _folded(text: Text, width: int) -> Sequence[Text]:
    """Return the lines of a text, wrapped between words."""
    lines: list[Text] = []
    for paragraph in text.split("\n", allow_blank=True):
        start, breaks = 0, []
        for word in _WORD.finditer(paragraph.plain):
            if word.start() > start and cell_len(paragraph.plain[start : word.end()]) > width:
                start = word.start()
                breaks.append(start)
        lines += paragraph.divide(breaks)
    for line in lines:
        line.rstrip()
    return lines or [Text()]


def _line(*parts: Text) -> Text:
    # The terminal wraps long lines, so that copying gives them whole.
    return Text.assemble(*parts, no_wrap=True, overflow="ignore")
