"""How much is measured. Every size is bounded in time on a machine of two cores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of a run. `memory_students` are the sizes at which memory is compared."""

    students: int = 100_000
    rounds: int = 3
    memory_students: tuple[int, ...] = (10_000, 100_000)
    jobs: int = 5_000
    ledger_jobs: int = 1_000_000
    decisions: int = 500
    decision_rounds: int = 7
    troubles: int = 200


FULL = Scale(memory_students=(10_000, 100_000, 1_000_000))
DEFAULT = Scale()
QUICK = Scale(
    students=10_000,
    rounds=1,
    memory_students=(2_000, 10_000),
    jobs=500,
    ledger_jobs=50_000,
    decision_rounds=3,
    troubles=40,
)
