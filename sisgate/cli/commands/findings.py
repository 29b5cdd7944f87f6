"""A line of what `sisgate doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What was examined, how it is, and what helps."""

    subject: str
    grade: Grade
    what: str
    remedy: str = ""
