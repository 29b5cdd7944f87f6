"""What a section found: tables for people on the terminal, figures for machines in a file."""

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
BEGUN = time.monotonic()


def tell(step: str) -> None:
    """Say on standard error what is measured now; a section may take many minutes."""
    print(f"  {time.monotonic() - BEGUN:5.0f} s  {step}", file=sys.stderr, flush=True)


@dataclass
class Report:
    """Tables, notes below them, and the same as JSON-ready figures."""

    section: str
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add_table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table whose first column holds words and the others numbers."""
        table = Table(title=title, title_justify="left")
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        self.tables.append(table)

    def publish(self, console: Console) -> None:
        """Print the tables and write `results/<section>.json`."""
        for table in self.tables:
            console.print(table)
        for note in self.notes:
            console.print(f"  {note}", style="dim", highlight=False)
        RESULTS.mkdir(exist_ok=True)
        machine = {"python": platform.python_version(), "cores": os.cpu_count()}
        path = RESULTS / f"{self.section}.json"
        text = json.dumps({"machine": machine, "notes": self.notes, **self.figures}, indent=2)
        path.write_text(f"{text}\n", encoding="utf-8")


def per_second(rate: float | None) -> str:
    """Return a rate for a table; a dash where it was not measured."""
    return "-" if rate is None else f"{rate:,.0f}"


def times(ratio: float | None) -> str:
    """Return a ratio for a table; a dash where it was not measured."""
    return "-" if ratio is None else f"{ratio:.2f}"
