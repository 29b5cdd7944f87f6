"""Pools of names, drawn once from Faker; rows pick from them by number."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from faker import Faker

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
