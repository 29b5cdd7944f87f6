"""Reading the rows of a page: one that cannot be used costs no other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sisgate.domain.records import Row
from sisgate.errors import AnswerInvalid
from sisgate.providers.dialect import Flaw

Note = Callable[[str, str], None]
"""Hears the name of a field that could not be used, and why."""


class RowUnusable(AnswerInvalid):
    """A row that is no record. `field` is the one that is wrong, None for the row as such."""

    def __init__(self, field: str | None, problem: str) -> None:
        super().__init__(f"{field or 'The row'} {problem}.")
        self.field = field
        self.problem = problem


@dataclass(frozen=True)
class RowsRead:
    """The records of a page, the ids of all its rows in their order, and what was wrong."""

    rows: list[Row]
    ids: list[str]
    flaws: list[Flaw]


def read_rows(
    received: Sequence[Any], start: int, read: Callable[[Any, Note], tuple[str, Row | None]]
) -> RowsRead:
    """Read the rows of a page whose first one is number `start` of its list, from 0.

    `read` gives a row's id and its record, None where the row is not one of the resource; it
    raises `RowUnusable`. A row without a usable id is known by a digest of what it says, so that
    pages can still be compared by their ids.
    """
    found = RowsRead([], [], [])
    for number, each in enumerate(received, start + 1):

        def note(field: str, problem: str, number: int = number) -> None:
            found.flaws.append(Flaw(number, field, problem, lost=False))

        try:
            row_id, row = read(each, note)
        except RowUnusable as unusable:
            found.flaws.append(Flaw(number, unusable.field, unusable.problem, lost=True))
            found.ids.append(_digest(each))
            continue
        found.ids.append(row_id)
        if row is not None:
            found.rows.append(row)
    return found


def _digest(row: Any) -> str:
    return "row-" + hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:24]
