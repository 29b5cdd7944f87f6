"""Which slots of a worker a provider may take. Pure: counts in, counts out."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

DEFAULT_SHARE = 0.75
"""The share of a worker's slots that one of several providers may fill with normal and low work."""

KEEP_ONE_FROM = 4
"""A worker with at least this many slots keeps one of them for urgent and high work."""

QUICK_SECONDS = 1.0
"""How long a quick call takes at most."""

QUICK_CALLS = 20
"""After so many quick calls in a row the next ones are taken to be quick."""


class CallPace:
    """Whether the calls of a worker are quick, so that whatever waits for a slot gets one soon.

    >>> pace = CallPace()
    >>> for _ in range(20):
    ...     pace.note(0.3)
    >>> pace.is_quick([0.1]), pace.is_quick([0.1, 1.5])
    (True, False)
    >>> pace.note(30.0)
    >>> pace.is_quick([0.1])
    False
    """

    def __init__(self) -> None:
        self._took: deque[float] = deque(maxlen=QUICK_CALLS)

    def note(self, seconds: float) -> None:
        """Record how long a call took."""
        self._took.append(seconds)

    def is_quick(self, running: Iterable[float]) -> bool:
        """Return whether calls are quick; `running` are the seconds since each began."""
        return len(self._took) == QUICK_CALLS and max([*self._took, *running]) <= QUICK_SECONDS


@dataclass(frozen=True, slots=True)
class Want:
    """How many messages to take, at most `background` of them of normal or low priority."""

    provider: str
    messages: int
    background: int


def share_out(
    slots: int,
    busy: int,
    running: Mapping[str, int],
    waiting: Sequence[str],
    shares: Mapping[str, float],
) -> list[Want]:
    """Return how many messages to take from each provider with waiting work.

    `slots` are the worker's, `busy` those taken by anything, `running` the calls in progress by
    provider, `waiting` the providers to serve, in order, `shares` the part of the slots that each
    provider may fill (the bulkhead; 1.0 for a worker that serves one provider). Urgent and high
    work may exceed its provider's share and use the reserved slot.

    >>> share_out(4, 0, {}, ["a", "b"], {"a": 0.75, "b": 0.75})
    [Want(provider='a', messages=2, background=2), Want(provider='b', messages=2, background=1)]
    >>> share_out(4, 3, {"a": 3}, ["a", "b"], {"a": 0.75, "b": 0.75})
    [Want(provider='a', messages=1, background=0)]
    """
    free = slots - busy
    rest_free = free - (1 if slots >= KEEP_ONE_FROM else 0)
    wants = []
    for position, provider in enumerate(waiting):
        if free <= 0:
            break
        fair = -(-free // (len(waiting) - position))
        cap = max(1, int(slots * shares.get(provider, DEFAULT_SHARE)))
        rest = max(0, min(fair, rest_free, cap - running.get(provider, 0)))
        wants.append(Want(provider, fair, rest))
        free -= fair
        rest_free -= rest
    return wants
