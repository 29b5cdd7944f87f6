"""The result of one check."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from sisgate.errors import SisgateError

Grade = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class DiagnosticResult:
    """The subject of a check, its grade, the finding, and the remedy (None without one)."""

    subject: str
    grade: Grade
    what: str
    remedy: str | None = None


def kept(subject: str, results: Iterable[DiagnosticResult]) -> Iterator[DiagnosticResult]:
    """Yield results, and if an error ends them, that as the last one."""
    try:
        yield from results
    except SisgateError as error:
        yield DiagnosticResult(subject, "fail", error.message)
