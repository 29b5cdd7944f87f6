"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class DiagnosticResult:
    """The subject of a check, its grade, the finding, and the remedy (None without one)."""

    subject: str
    grade: Grade
    what: str
    remedy: str | None = None
