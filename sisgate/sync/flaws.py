"""What could not be used of the rows of a list: kept with each page, reported at the end. Pure.

Only numbers of rows and names of fields are kept and reported, never a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sisgate.providers.dialect import Flaw

CODE = "rows_unusable"

NAMED = 5
"""How many flaws are named; the others are counted."""


@dataclass(frozen=True)
class Flaws:
    """The flaws of one list. Rows are numbered from 1; a row that came twice counts once."""

    lost: frozenset[int] = frozenset()
    marred: frozenset[int] = frozenset()
    named: tuple[tuple[int, str], ...] = ()

    @property
    def lost_text(self) -> str:
        """What is reported of the rows that are no records."""
        return f"{_rows(len(self.lost))} could not be used ({self._named(self.lost)})"

    @property
    def marred_text(self) -> str:
        """What is reported of the records that lack a field."""
        return (
            f"{_rows(len(self.marred))} had fields that could not be used and were left out "
            f"({self._named(self.marred)})"
        )

    def _named(self, rows: frozenset[int]) -> str:
        shown = [(row, problem) for row, problem in self.named if row in rows][:NAMED]
        others = len(rows) - len({row for row, _ in shown})
        named = "; ".join(f"row {row}: {problem}" for row, problem in shown)
        return f"{named}; and {others:,} more" if others else named


def flaws_json(flaws: Sequence[Flaw]) -> dict[str, Any] | None:
    """Return what the ledger keeps of a page's flaws; None where there are none."""
    if not flaws:
        return None
    lost = sorted({flaw.row for flaw in flaws if flaw.lost})
    marred = sorted({flaw.row for flaw in flaws} - set(lost))
    first = [*[f for f in flaws if f.lost][:NAMED], *[f for f in flaws if not f.lost][:NAMED]]
    named = [(flaw.row, f"{flaw.field or 'it'} {flaw.problem}") for flaw in first]
    both = Flaws(frozenset(lost), frozenset(marred), tuple(named))
    texts = [text for rows, text in ((lost, both.lost_text), (marred, both.marred_text)) if rows]
    return {
        "code": CODE,
        "message": f"{'; '.join(texts)}.",
        "lost": lost,
        "marred": marred,
        "named": [list(each) for each in named],
    }


def of_pages(kept: Iterable[Mapping[str, Any] | None]) -> Flaws:
    """Return the flaws of a list from what the ledger kept of its pages."""
    lost: set[int] = set()
    marred: set[int] = set()
    named: dict[tuple[int, str], None] = {}
    for page in kept:
        if page is not None and page.get("code") == CODE:
            lost.update(page["lost"])
            marred.update(page["marred"])
            named |= dict.fromkeys((row, what) for row, what in page["named"])
    return Flaws(frozenset(lost), frozenset(marred - lost), tuple(sorted(named)))


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
