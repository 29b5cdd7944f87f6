"""The short run that `make test` makes on each kind of database."""

from pathlib import Path

from tests.faults.fleet import DatabaseKind
from tests.faults.run import run

KILLS = 31
SEEDS: dict[DatabaseKind, int] = {"sqlite": 11, "postgresql": 12}


def keep_through_kills(folder: Path, database: DatabaseKind) -> None:
    """Kill a fleet many times; fail with every promise that was broken, and the seed."""
    result = run(folder, database, SEEDS[database], KILLS)
    told = "\n".join(result.findings.breaks)
    again = f"make soak KILLS={KILLS} SEED={result.seed} DATABASE={database}"
    assert not result.findings.breaks, f"{told}\nAgain: {again}\n{dict(result.mishaps)}"
    assert result.kills >= KILLS
    assert result.findings.accepted > KILLS
