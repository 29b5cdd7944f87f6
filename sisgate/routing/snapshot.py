"""What a choice is made from: the endpoints as they are now. No I/O."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

SLOW_START_FLOOR = 0.1
"""The least part of its weight that an endpoint has when it comes back."""


class Door(Enum):
    """What the circuit breaker of an endpoint would say to a call."""

    OPEN_TO_ALL = "open to all"
    PROBE = "probe"
    SHUT = "shut"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One endpoint. `latency_seconds` is its peak EWMA, None while nothing is known.

    `ejected` holds for outliers and for those that fail their health checks. `warmth` is the part
    of its weight that it has in slow start, 1 otherwise.
    """

    url: str
    weight: int = 1
    door: Door = Door.OPEN_TO_ALL
    ejected: bool = False
    in_flight: int = 0
    latency_seconds: float | None = None
    warmth: float = 1.0

    @property
    def effective_weight(self) -> float:
        """The weight that counts now."""
        return self.weight * self.warmth


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The endpoints among which to choose, in the order of the configuration.

    `turn` grows by one with each choice in the whole fleet.
    """

    candidates: tuple[Candidate, ...]
    turn: int = 0

    @property
    def usable(self) -> tuple[Candidate, ...]:
        """Those that may be called: not shut, and not ejected unless all are."""
        through = tuple(c for c in self.candidates if c.door is Door.OPEN_TO_ALL)
        return tuple(c for c in through if not c.ejected) or through

    @property
    def probes(self) -> tuple[Candidate, ...]:
        """Those whose breaker waits for one call to try whether they are back."""
        return tuple(c for c in self.candidates if c.door is Door.PROBE)

    def without(self, urls: Collection[str]) -> Snapshot:
        """Return the snapshot without some endpoints, which have been tried."""
        rest = tuple(c for c in self.candidates if c.url not in urls)
        return Snapshot(rest, self.turn)


def warmth_after(seconds: float | None, slow_start_seconds: float) -> float:
    """Return the part of its weight that an endpoint has so long after it came back.

    Linear from `SLOW_START_FLOOR` to 1; None is for those that never were away.

    >>> [warmth_after(s, 30) for s in (None, 0, 15, 30, 99)]
    [1.0, 0.1, 0.5, 1.0, 1.0]
    """
    if seconds is None or slow_start_seconds <= 0:
        return 1.0
    return min(1.0, max(SLOW_START_FLOOR, seconds / slow_start_seconds))
