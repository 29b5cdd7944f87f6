"""The four priorities of work, as the four priority steps of Celery's Redis queues."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, get_args


class Priority(IntEnum):
    """Urgency of a job. The number is the Redis priority step: 0 goes first.

    >>> Priority.parse("high")
    <Priority.HIGH: 3>
    >>> Priority.URGENT.word
    'urgent'
    """

    URGENT = 0
    HIGH = 3
    NORMAL = 6
    LOW = 9

    @property
    def word(self) -> str:
        """The priority as users write it."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str | int | Priority) -> Priority:
        """Return the priority of a name or step; `ValueError` lists the four."""
        if isinstance(word, int):
            return cls(word)
        try:
            return cls[word.upper()]
        except KeyError:
            words = ", ".join(p.word for p in cls)
            raise ValueError(f"priority is one of {words}, not {word!r}") from None


PriorityName = Literal["urgent", "high", "normal", "low"]
PRIORITIES = get_args(PriorityName)
PRIORITY_STEPS = tuple(int(p) for p in Priority)
