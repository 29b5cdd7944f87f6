"""When a job begins and ends, and what waits before it. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sisgate.domain.priorities import Priority
from sisgate.gateway.hold import Hold
from sisgate.liveness.obstacles import Obstacle


@dataclass(frozen=True)
class Plan:
    """The calls of a job and their times. Times are None while unknown.

    `calls` is None for a dataset of unknown length, never synced before. `left` is the quota left
    in the tightest window, None without a limit. Times are unknown while the provider is paused or
    its breaker held open without end, while the limiter is being rebuilt, and while `obstacles`
    stop the fleet. `hold` is why the provider takes no calls now.
    """

    calls: int | None
    left: int | None
    starts_at: datetime | None
    done_by: datetime | None
    obstacles: Sequence[Obstacle] = ()
    hold: Hold | None = None


@dataclass(frozen=True)
class PriorityQueue:
    """What waits for a provider with one priority.

    `messages` are in its queue; `starts_at` is when one more job would begin, None while unknown.
    """

    priority: Priority
    messages: int
    starts_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready, but for the time."""
        return {**asdict(self), "priority": self.priority.word}
