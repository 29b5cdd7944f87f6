"""Looking for a person in text: by what names them alone, or by both names together. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

SHORTEST = 4
"""An identifier shorter than this stands in too many places that have nothing to do with it."""


@dataclass(frozen=True)
class Needles:
    """What to look for. An identifier counts as a whole word only, in any case of letters."""

    identifiers: frozenset[str]
    names: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, identifiers: Iterable[str], names: Iterable[tuple[str, str]] = ()) -> Needles:
        """Return the needles of a person."""
        return cls(frozenset(i for i in identifiers if i), frozenset(names))

    @property
    def telling(self) -> frozenset[str]:
        """The identifiers that are long enough to be looked for anywhere."""
        return frozenset(each for each in self.identifiers if len(each) >= SHORTEST)

    @cached_property
    def _all(self) -> re.Pattern[str] | None:
        return _words(self.identifiers)

    @cached_property
    def _telling(self) -> re.Pattern[str] | None:
        return _words(self.telling)

    def identify(self, text: str, *, anywhere: bool = True) -> bool:
        """Whether an identifier stands in a text; short ones count where not `anywhere`.

        >>> needles = Needles.of(["s-77", "7"])
        >>> needles.identify("/users/S-77?x"), needles.identify("s-778"), needles.identify("7")
        (True, False, False)
        >>> needles.identify("7", anywhere=False)
        True
        """
        pattern = self._telling if anywhere else self._all
        return pattern is not None and pattern.search(text) is not None

    def name(self, text: str) -> bool:
        """Whether given and family name both stand in a text."""
        low = text.casefold()
        return any(
            given.casefold() in low and family.casefold() in low for given, family in self.names
        )

    def mention(self, text: str, *, anywhere: bool = True) -> bool:
        """Whether a text names the person in either way."""
        return self.identify(text, anywhere=anywhere) or self.name(text)


def _words(words: Iterable[str]) -> re.Pattern[str] | None:
    escaped = sorted((re.escape(word) for word in words), key=len, reverse=True)
    if not escaped:
        return None
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(escaped)})(?![^\W_])", re.IGNORECASE)
