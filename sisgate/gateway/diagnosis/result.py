"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class DiagnosticResult:
    """What was checked, how it is, and what helps against it; None where nothing is to be done."""

    subject: str
    grade: Grade
    what: str
    remedy: str | None = None
