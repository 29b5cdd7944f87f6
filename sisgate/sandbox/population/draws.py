"""Repeatable random numbers by index, so that any row can be made without the ones before it."""

from __future__ import annotations

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


def draw(salt: int, index: int) -> int:
    """Return 64 well-mixed bits for `index` (splitmix64, Steele et al. 2014).

    >>> draw(1, 2) == draw(1, 2), draw(1, 2) == draw(2, 1)
    (True, False)
    """
    x = (salt + index * _GAMMA) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def salt_of(seed: int, word: str) -> int:
    """Return the salt of one table of a district: other words draw other numbers."""
    return draw(seed & _MASK, int.from_bytes(word.encode()[:8].ljust(8, b"\0"), "big"))


def picks(salt: int, size: int, count: int) -> list[int]:
    """Return up to `count` different numbers below `size`, in the order drawn."""
    chosen: dict[int, None] = {}
    index = 0
    while len(chosen) < min(count, size):
        chosen[draw(salt, index) % size] = None
        index += 1
        if index > 20 * count + 100:
            # Nearly all of a small range is asked for: take the rest in order.
            chosen.update(dict.fromkeys(range(size)))
            break
    return list(chosen)[:count]
