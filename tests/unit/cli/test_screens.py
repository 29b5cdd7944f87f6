"""Tables at the widths that terminals have."""

from __future__ import annotations

import io

from rich.console import Console

from sisgate.cli.screens import table


def rendered(width: int) -> str:
    """A table of a provider with two limits, as a terminal shows it."""
    made = table(("provider", "limit", "left"), numbers=("left",), folds=("limit",))
    made.add_row("infinite_campus", "500/h, 20/s, 60/10s", "1,234")
    console = Console(file=io.StringIO(), width=width)
    console.print(made)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_names_and_numbers_stay_on_one_line() -> None:
    """What may fold is folded; the name is whole however narrow it gets."""
    for width in (80, 40, 32):
        assert "infinite_campus" in rendered(width)
        assert "1,234" in rendered(width)
        assert all(len(line) <= width for line in rendered(width).splitlines())
