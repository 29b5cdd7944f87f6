"""Which of many things Redis has at all, so that a fleet of thousands costs what is at work."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TypeVar

from sisgate.redis.client import RedisClient

FEW = 500
"""So many are asked for one by one; of more, whole groups are ruled out first."""

GROUP = 50

T = TypeVar("T")


def existing(client: RedisClient, keys: Mapping[T, Sequence[str]]) -> list[T]:
    """Return the things of which Redis has one of the keys at least, in two round trips at most."""
    names = list(keys)
    if len(names) > FEW:
        groups = [names[begin : begin + GROUP] for begin in range(0, len(names), GROUP)]
        found = _are_there(client, (chain(*(keys[each] for each in group)) for group in groups))
        names = [
            each for group, there in zip(groups, found, strict=True) if there for each in group
        ]
    found = _are_there(client, (keys[each] for each in names))
    return [name for name, there in zip(names, found, strict=True) if there]


def _are_there(client: RedisClient, several: Iterable[Iterable[str]]) -> Sequence[bool]:
    with client.pipeline(transaction=False) as pipe:
        for keys in several:
            pipe.exists(*keys)
        return [bool(count) for count in pipe.execute()]
