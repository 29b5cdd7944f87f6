"""A fleet with an endless backlog, in simulated time, and what its provider could have seen."""

import heapq
import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import LimitSpec
from sisgate.domain.priorities import Priority
from testbed.clock import ManualClock

SMALLEST_STEP = 1e-6


@dataclass
class Span:
    """The time in which the provider saw a call: from its grant to its completion."""

    granted: float
    completed: float


def most_in_a_window(spans: list[Span], period: float) -> int:
    """Return the most calls that any window of `period` seconds could have held.

    The provider is against us: every call whose span touches a window arrived in it. The most is
    reached by a window that starts at a completion.
    """
    starts = sorted(span.granted for span in spans)
    ends = sorted(span.completed for span in spans)
    # Touching [s, s + period): granted before its end, less those completed before its start.
    return max((bisect_left(starts, s + period) - bisect_left(ends, s) for s in ends), default=0)


@dataclass
class Fleet:
    """Workers that always have work of one priority, and ask again when they were told to."""

    limiter: Limiter
    clock: ManualClock
    spec: LimitSpec
    priority: Priority = Priority.LOW
    latency_seconds: float = 0.0
    late_seconds: float = 0.0
    provider: str = "p"
    spans: list[Span] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Work for `seconds`; each worker wakes up to `late_seconds` too late."""
        rng = random.Random(7)
        end = self.clock.monotonic() + seconds
        running: list[tuple[float, str]] = []
        while (now := self.clock.monotonic()) < end:
            while running and running[0][0] <= now:
                self.limiter.finish(self.provider, heapq.heappop(running)[1])
            grant = self.limiter.take(self.provider, self.spec, self.priority, want=4)
            for permit in grant.permits:
                self.spans.append(Span(now, now + self.latency_seconds))
                heapq.heappush(running, (now + self.latency_seconds, permit))
            if not grant:
                next_ask = now + grant.wait_seconds + rng.random() * self.late_seconds
                wake = min([next_ask, *(done for done, _ in running[:1])])
                self.clock.advance(max(wake - now, SMALLEST_STEP))

    def granted_between(self, start: float, end: float) -> int:
        """Return the number of grants in [start, end)."""
        grants = sorted(span.granted for span in self.spans)
        return bisect_left(grants, end) - bisect_left(grants, start)

    def longest_quiet(self, since: float) -> float:
        """Return the longest time between two grants after `since`."""
        grants = sorted(span.granted for span in self.spans)
        grants = grants[bisect_right(grants, since) :]
        return max(b - a for a, b in pairwise(grants))
