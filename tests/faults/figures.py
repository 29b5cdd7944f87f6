"""The figures of many runs: a table for people, JSON for machines, Markdown for the docs."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.table import Table

from tests.faults.fleet import LEASE_SECONDS
from tests.faults.oracles import RECOVERY_SECONDS, Findings
from tests.faults.run import UNDISTURBED, Result


@dataclass
class Figures:
    """The sum of runs."""

    runs: list[Result] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Runs that never came to rest, told for a person."""

    def add(self, result: Result) -> None:
        """Count a run in."""
        self.runs.append(result)

    @property
    def kills(self) -> int:
        return sum(run.kills for run in self.runs)

    @property
    def mishaps(self) -> Counter[str]:
        """How often each kind of mishap happened."""
        return sum((run.mishaps for run in self.runs), Counter[str]())

    @property
    def points_taken(self) -> Counter[str]:
        """How often a process died at each point."""
        return sum((run.points_taken for run in self.runs), Counter[str]())

    @property
    def points_missed(self) -> list[str]:
        """The points that were passed and at which no process has died."""
        seen = {point for run in self.runs for point in run.points_seen}
        return sorted(p for p in seen - set(self.points_taken) if UNDISTURBED not in p)

    @property
    def findings(self) -> Findings:
        """What was found in all runs."""
        total = Findings()
        for run in self.runs:
            total.add(run.findings)
        return total

    @property
    def breaks(self) -> list[str]:
        """Each broken promise, with the seed of its run."""
        told = [f"seed {r.seed}, {r.database}: {b}" for r in self.runs for b in r.findings.breaks]
        return told + self.failures

    def rows(self) -> list[tuple[str, str]]:
        """Return what was found, as a name and a value each."""
        found = self.findings
        rests = [seconds for run in self.runs for seconds in run.rest_seconds]
        died = f"{len(self.points_taken)} of {len(self.points_taken) + len(self.points_missed)}"
        return [
            ("kills", f"{self.kills:,}"),
            ("other mishaps", f"{self.mishaps.total() - self.kills:,}"),
            ("named points at which a process died", died),
            ("jobs accepted", f"{found.accepted:,}"),
            ("jobs refused, database away", f"{found.refused:,}"),
            ("calls the provider saw", f"{found.calls_seen:,}"),
            ("accepted and lost", f"{found.lost:,}"),
            ("effects doubled", f"{found.doubled:,}"),
            ("windows above the limit", f"{found.windows_above:,}"),
            ("calls that the ledger does not know", f"{found.unrecorded:,}"),
            ("answers that are not the provider's", f"{found.untrue:,}"),
            ("orphan put back after its lease: p50, p99, max", _spread(found.recoveries)),
            ("begun again, in its turn", _spread(found.begun_again)),
            ("the same while more is killed", _spread(found.begun_again_disturbed)),
            ("from the last mishap to the end of all work: p50, p99, max", _spread(rests)),
        ]

    def tables(self) -> list[Table]:
        kinds = [(kind, f"{count:,}") for kind, count in self.mishaps.most_common()]
        ends = [(end, f"{count:,}") for end, count in self.findings.ends.most_common()]
        return [
            _table("What happened", kinds),
            _table("How accepted jobs ended", ends),
            _table("What was found", self.rows()),
        ]

    def markdown(self) -> str:
        """Return the tables for docs/explanation/reliability.md."""
        kinds = [(kind, f"{count:,}") for kind, count in self.mishaps.most_common()]
        ends = [(end, f"{count:,}") for end, count in self.findings.ends.most_common()]
        parts = [
            _markdown("what was found", self.rows()),
            _markdown("what happened", kinds),
            _markdown("how accepted jobs ended", ends),
        ]
        if self.breaks:
            parts.append(
                "Broken:\n" + "\n".join(f"- {told.splitlines()[0]}" for told in self.breaks)
            )
        return "\n\n".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready."""
        found = self.findings
        words = {
            name: value
            for name, value in vars(found).items()
            if isinstance(value, int) or name == "ends"
        }
        return {
            "kills": self.kills,
            "mishaps": dict(self.mishaps),
            "points": dict(self.points_taken),
            "points_missed": self.points_missed,
            **words,
            "recovery_seconds": spread(found.recoveries),
            "begun_again_seconds": spread(found.begun_again),
            "begun_again_seconds_disturbed": spread(found.begun_again_disturbed),
            "rest_seconds": spread([s for run in self.runs for s in run.rest_seconds]),
            "lease_seconds": LEASE_SECONDS,
            "recovery_bound_seconds": RECOVERY_SECONDS,
            "breaks": self.breaks,
            "runs": [
                {"seed": r.seed, "database": r.database, "kills": r.kills, "seconds": r.seconds}
                for r in self.runs
            ],
        }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, 99th percentile (nearest rank) and largest; empty for no values.

    >>> spread([3.0, 1.0, 2.0])
    {'p50': 2.0, 'p99': 3.0, 'max': 3.0, 'count': 3}
    """
    if not values:
        return {}
    ordered = sorted(values)

    def rank(share: float) -> float:
        return ordered[math.ceil(share * len(ordered)) - 1]

    return {"p50": rank(0.5), "p99": rank(0.99), "max": ordered[-1], "count": len(ordered)}


def _spread(values: Sequence[float]) -> str:
    found = spread(values)
    if not found:
        return "none"
    return f"{found['p50']:.1f}, {found['p99']:.1f}, {found['max']:.1f} s ({found['count']})"


def _table(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=box.SIMPLE)
    table.add_column()
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(title: str, rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"| {title} | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join(lines)
