"""One entry of a job's timeline."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sisgate.domain.past_waits import Fault

Tone = Literal["plain", "busy", "good", "warn", "bad"]


@dataclass(frozen=True)
class TimelineEntry:
    """One thing that happened, or a wait of `seconds` that began at `at`, with whose `fault`."""

    at: datetime
    text: str
    tone: Tone = "plain"
    call: int | None = None
    seconds: float | None = None
    fault: Fault | None = None
