"""A recording provider that can be down, an endpoint at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.acceptance.admission.recorder import ANSWER, Recorder

FAILURE = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)


@dataclass(frozen=True)
class Served:
    """One call as its endpoint saw it. Times are monotonic."""

    endpoint: str
    began: float
    ended: float
    failed: bool


class FailingRecorder(Recorder):
    """Endpoints `a` and `b` of each provider, or only `a`; those in `down` answer 500."""

    def __init__(self, endpoints: str = "a", latency_seconds: float = 0.05) -> None:
        self._endpoints = endpoints
        self.down: set[str] = set()
        self.served: list[Served] = []
        self._begun: dict[str, list[float]] = {}
        super().__init__(lambda: latency_seconds)

    def urls(self, name: str) -> list[str]:
        """Return one URL for each endpoint."""
        return [f"{self.url(name)}/{endpoint}" for endpoint in self._endpoints]

    def note(self, target: str) -> float:
        """Stamp a call."""
        self._begun.setdefault(target, []).append(time.monotonic())
        return super().note(target)

    def answer(self, target: str) -> bytes:
        """Return what the endpoint answers now."""
        endpoint = target.split("/")[2]
        failed = endpoint in self.down
        began = self._begun[target].pop(0)
        self.served.append(Served(endpoint, began, time.monotonic(), failed))
        return FAILURE if failed else ANSWER

    @property
    def at_work(self) -> int:
        """How many calls are under way."""
        return sum(map(len, self._begun.values()))


def most_at_once(served: list[Served]) -> int:
    """Return the largest number of calls that ran at the same time.

    >>> most_at_once([Served("a", 0, 2, True), Served("a", 1, 3, True), Served("a", 3, 4, True)])
    2
    """
    return max(sum(o.began <= s.began < o.ended for o in served) for s in served)
