"""`make soak`: hours of mishaps in half an hour, and a table of what was found after them.

`python -m tests.faults.soak --kills 1000 --seed 1 --database both`. Ends with status 1 when a
promise was broken; each break names the seed of its run. A soak of the same arguments draws the
same mishaps; the moments in which they fall are the machine's.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.faults.figures import Figures
from tests.faults.fleet import CLOCK, DatabaseKind
from tests.faults.run import Result, run

KILLS_PER_RUN = 100
"""A fleet lives through so many; then the next one begins with an empty ledger."""

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
BEGIN, END = "<!-- soak: begin -->", "<!-- soak: end -->"


@dataclass(frozen=True)
class Round:
    """One run to be made."""

    seed: int
    database: DatabaseKind
    kills: int


def rounds_of(kills: int, seed: int, databases: Sequence[DatabaseKind]) -> list[Round]:
    """Return the runs that make so many kills, shared evenly between the databases.

    >>> [(r.seed, r.database, r.kills) for r in rounds_of(250, 7, ["sqlite", "postgresql"])]
    [(7, 'sqlite', 84), (8, 'postgresql', 83), (9, 'sqlite', 83)]
    """
    count = max(len(databases), -(-kills // KILLS_PER_RUN))
    each, more = divmod(kills, count)
    return [
        Round(seed + number, databases[number % len(databases)], each + (number < more))
        for number in range(count)
    ]


class Interrupted(Exception):
    """Ctrl-C."""


class Soak:
    """Makes the rounds, a few at a time, and keeps the figures."""

    def __init__(self, rounds: Sequence[Round], parallel: int, console: Console) -> None:
        self._rounds = rounds
        self._parallel = parallel
        self._console = console
        self._lock = threading.Lock()
        self._is_interrupted = threading.Event()
        self._at: dict[int, int] = {}
        self.figures = Figures()

    def run(self) -> None:
        """Make all rounds, with a bar that shows the kills."""
        columns = (
            TextColumn("soak"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("kills, {task.fields[broken]} broken"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            total = sum(each.kills for each in self._rounds)
            bar = progress.add_task("soak", total=total, broken=0)

            def tell(seed: int, kills: int) -> None:
                if self._is_interrupted.is_set():
                    raise Interrupted
                with self._lock:
                    self._at[seed] = kills
                    broken = len(self.figures.breaks)
                    progress.update(bar, completed=sum(self._at.values()), broken=broken)

            with ThreadPoolExecutor(self._parallel) as pool:
                try:
                    wait([pool.submit(self._make, each, tell) for each in self._rounds])
                except KeyboardInterrupt:
                    # The fleets that run are stopped in order; what was found is told.
                    self._is_interrupted.set()
                    pool.shutdown(cancel_futures=True)
                    self.figures.failures.append("interrupted")

    def _make(self, each: Round, tell: object) -> None:
        assert callable(tell)
        folder = Path(tempfile.mkdtemp(prefix="sisgate-soak-"))
        try:
            with self._lock:
                known = self.figures.points_taken
            result: Result = run(
                folder,
                each.database,
                each.seed,
                each.kills,
                tell=lambda kills: tell(each.seed, kills),
                known=known,
            )
        except Interrupted:
            shutil.rmtree(folder, ignore_errors=True)
            return
        except Exception as error:  # the other rounds go on, and the soak fails
            with self._lock:
                self.figures.failures.append(f"seed {each.seed}, {each.database}: {error}")
            first = str(error).split("\n", maxsplit=1)[0]
            self._console.print(f"seed {each.seed}: {first}", style="red", markup=False)
            self._console.print(f"{folder} is kept", style="dim", highlight=False)
            (folder / "failure").write_text(f"{error}\n", encoding="utf-8")
            return
        with self._lock:
            self.figures.add(result)
        if result.findings.breaks:
            for told in result.findings.breaks:
                self._console.print(f"seed {each.seed}: {told}", style="red", markup=False)
            self._console.print(f"{folder} is kept", style="dim", highlight=False)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def write_page(page: Path, figures: Figures, arguments: str) -> None:
    """Put date, commit and tables into the page, in the place of those of the last soak."""
    git = ["git", "-C", str(page.parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    head = f"{CLOCK.now():%Y-%m-%d}, commit `{commit or 'unknown'}`, `make soak {arguments}`:"
    text = page.read_text("utf-8")
    between = f"{BEGIN}\n{head}\n\n{figures.markdown()}\n{END}"
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    page.write_text(pattern.sub(lambda _: between, text), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print the tables, return the exit status."""
    parser = argparse.ArgumentParser(prog="make soak", description="Kill everything, many times.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--parallel", type=int, default=2, help="fleets at a time")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    parser.add_argument(
        "--write", action="store_true", help=f"write them to docs/explanation/{PAGE.name}"
    )
    chosen = parser.parse_args(arguments)
    both: list[DatabaseKind] = ["sqlite", "postgresql"]
    databases = both if chosen.database == "both" else [chosen.database]
    console = Console(stderr=chosen.json)
    soak = Soak(rounds_of(chosen.kills, chosen.seed, databases), chosen.parallel, console)
    soak.run()
    figures = soak.figures
    if chosen.json:
        print(json.dumps(figures.as_dict(), indent=2))
    else:
        for table in figures.tables():
            console.print(table)
    for told in figures.breaks:
        console.print(f"broken: {told}", style="red", highlight=False, markup=False)
    if chosen.write:
        words = f"KILLS={chosen.kills} SEED={chosen.seed} DATABASE={chosen.database}"
        write_page(PAGE, figures, words)
    return 1 if figures.breaks else 0


if __name__ == "__main__":
    sys.exit(main())
