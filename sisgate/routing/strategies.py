"""The strategies that choose an endpoint, and their input. Pure.

A strategy is a function from a snapshot of the endpoints, and a random generator, to one of them.
It returns None when no endpoint may be called, and never one that is shut, or ejected while another
is not. It depends on nothing but the snapshot and the random numbers.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from types import MappingProxyType

SLOW_START_FLOOR = 0.1
"""The share of its weight that a recovered endpoint starts with."""


class Availability(Enum):
    """What the circuit breaker of an endpoint lets pass."""

    OPEN_TO_ALL = "open to all"
    PROBE = "probe"
    SHUT = "shut"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One endpoint. `latency_seconds` is its peak EWMA, None while unknown.

    `ejected` is true for outliers and for endpoints that fail their health checks. `ramp_up` is the
    share of its weight during slow start, 1 otherwise.
    """

    url: str
    weight: int = 1
    availability: Availability = Availability.OPEN_TO_ALL
    ejected: bool = False
    in_flight: int = 0
    latency_seconds: float | None = None
    ramp_up: float = 1.0

    @property
    def effective_weight(self) -> float:
        """The current weight."""
        return self.weight * self.ramp_up


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The endpoints to choose from, in the order of the configuration.

    `turn` grows by one with each choice in the whole fleet.
    """

    candidates: tuple[Candidate, ...]
    turn: int = 0

    @property
    def usable(self) -> tuple[Candidate, ...]:
        """Those that may be called: not shut, and not ejected unless all are."""
        through = tuple(c for c in self.candidates if c.availability is Availability.OPEN_TO_ALL)
        return tuple(c for c in through if not c.ejected) or through

    @property
    def probes(self) -> tuple[Candidate, ...]:
        """Those whose breaker is due for a probe."""
        return tuple(c for c in self.candidates if c.availability is Availability.PROBE)

    def without(self, urls: Collection[str]) -> Snapshot:
        """Return the snapshot without the endpoints already tried."""
        rest = tuple(c for c in self.candidates if c.url not in urls)
        return Snapshot(rest, self.turn)


def ramp_up_after(seconds: float | None, slow_start_seconds: float) -> float:
    """Return the share of its weight that an endpoint has `seconds` after its recovery.

    Linear from `SLOW_START_FLOOR` to 1; None is for endpoints that were never down.

    >>> [ramp_up_after(s, 30) for s in (None, 0, 15, 30, 99)]
    [1.0, 0.1, 0.5, 1.0, 1.0]
    """
    if seconds is None or slow_start_seconds <= 0:
        return 1.0
    return min(1.0, max(SLOW_START_FLOOR, seconds / slow_start_seconds))


Strategy = Callable[[Snapshot, random.Random], Candidate | None]

WEIGHT_STEPS = 10
"""Weights in slow start are rounded to tenths, so that few orders are computed."""

UNKNOWN_LATENCY_SECONDS = 1e6
"""The cost of a running call at an endpoint of unknown latency: it gets one call at a time."""


def round_robin(snapshot: Snapshot, _rng: random.Random) -> Candidate | None:
    """In turn, whatever the weights; an endpoint in slow start skips turns."""
    return _in_turn(snapshot.usable, [c.ramp_up for c in snapshot.usable], snapshot.turn)


def weighted(snapshot: Snapshot, _rng: random.Random) -> Candidate | None:
    """In proportion to the weights, spread evenly (nginx's smooth round robin)."""
    return _in_turn(snapshot.usable, [c.effective_weight for c in snapshot.usable], snapshot.turn)


def least_connections(snapshot: Snapshot, _rng: random.Random) -> Candidate | None:
    """The fewest running calls relative to weight; among equals in turn, by weight."""
    usable = snapshot.usable
    if not usable:
        return None
    fewest = min(c.in_flight / c.effective_weight for c in usable)
    equals = [c for c in usable if c.in_flight / c.effective_weight <= fewest + 1e-9]
    return _in_turn(equals, [c.effective_weight for c in equals], snapshot.turn)


def latency_aware(snapshot: Snapshot, rng: random.Random) -> Candidate | None:
    """The better of two chosen at random, by the peak EWMA of latency times running calls.

    Two random choices avoid herding to the single best endpoint of an old snapshot
    (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001); peak EWMA as in
    Finagle's load balancer. The two are drawn in proportion to the weights.
    """
    usable = snapshot.usable
    if len(usable) < 2:
        return usable[0] if usable else None
    first = _draw(usable, rng)
    second = _draw([c for c in usable if c is not first], rng)
    return min(first, second, key=_cost)


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "round_robin": round_robin,
        "weighted": weighted,
        "least_connections": least_connections,
        "latency_aware": latency_aware,
    }
)


@lru_cache(maxsize=256)
def smooth_order(weights: tuple[int, ...]) -> tuple[int, ...]:
    """Return one round of nginx's smooth weighted round robin, as places in `weights`.

    In each step every endpoint gains its weight; the one with the most is chosen and pays the sum
    of all weights (ngx_http_upstream_round_robin.c, since nginx 1.3.1).

    >>> "".join("abc"[i] for i in smooth_order((5, 1, 1)))
    'aabacaa'
    """
    current = [0] * len(weights)
    total = sum(weights)
    order = []
    for _ in range(total):
        current = [have + weight for have, weight in zip(current, weights, strict=True)]
        best = max(range(len(weights)), key=current.__getitem__)
        current[best] -= total
        order.append(best)
    return tuple(order)


def _in_turn(
    candidates: Sequence[Candidate], weights: Sequence[float], turn: int
) -> Candidate | None:
    if not candidates:
        return None
    steps = [max(1, round(weight * WEIGHT_STEPS)) for weight in weights]
    common = math.gcd(*steps)
    order = smooth_order(tuple(step // common for step in steps))
    return candidates[order[turn % len(order)]]


def _draw(candidates: Sequence[Candidate], rng: random.Random) -> Candidate:
    return rng.choices(candidates, [c.effective_weight for c in candidates])[0]


def _cost(candidate: Candidate) -> float:
    if candidate.latency_seconds is None:
        return candidate.in_flight * UNKNOWN_LATENCY_SECONDS
    return candidate.latency_seconds * (candidate.in_flight + 1)
