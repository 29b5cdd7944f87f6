"""Repeatable random numbers by index, and the names that rows pick by them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from faker import Faker

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


# Faker's English names are all ASCII letters. Real rosters are not, and these are the ones that
# break clients: apostrophes, hyphens, spaces, combining marks, other scripts, a single letter.
_FAMILY = (
    "O'Brien", "D'Angelo", "N'Diaye", "García-López", "Smith-Jones", "van der Berg", "Nguyễn",
    "Þórsdóttir", "Łukasiewicz", "Müller", "Šimić", "De la Cruz", "St. John", "O", "王", "田中",
    "Иванова", "محمدی", "김", "כהן",
)  # fmt: skip
_GIVEN = (
    "Zoë", "D'Andre", "Mary-Kate", "José", "Siân", "Björk", "Đức", "Nuñez Ana", "Chloé", "Jo",
    "伟", "さくら", "Дмитрий", "فاطمة", "민준", "שרה",
)  # fmt: skip


class NamePools(NamedTuple):
    """What rows pick from. Tuples, because they are shared."""

    given: tuple[tuple[str, ...], tuple[str, ...]]
    """Female and male."""
    family: tuple[str, ...]
    streets: tuple[str, ...]
    cities: tuple[str, ...]
    schools: tuple[str, ...]


@lru_cache(maxsize=16)
def name_pools(seed: int) -> NamePools:
    """Return the pools of a seed. The same seed and Faker version give the same pools."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    female = tuple(fake.first_name_female() for _ in range(380))
    male = tuple(fake.first_name_male() for _ in range(380))
    family = tuple(fake.last_name() for _ in range(940))
    return NamePools(
        given=(female + _GIVEN, male + _GIVEN),
        family=family + _FAMILY * 3,
        streets=tuple(fake.street_address() for _ in range(600)),
        cities=tuple(fake.city() for _ in range(12)),
        schools=tuple(dict.fromkeys(fake.last_name() for _ in range(900))),
    )
