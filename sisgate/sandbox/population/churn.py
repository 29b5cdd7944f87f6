"""Changing a district's data in a repeatable way, for deltas and for lists that shift."""

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sisgate.sandbox.population.keys import Table
from sisgate.sandbox.population.layout import CLASSES_PER_COHORT, picks, salt_of
from sisgate.sandbox.population.roster import Roster

FIRST_CHANGE = datetime(2026, 9, 1, 8, tzinfo=UTC)
STEP = timedelta(minutes=1)

_INSERT_SLOTS = {"students": range(1, 8), "teachers": range(1, 8), "classes": range(6, 16)}


class ChurnRequest(BaseModel):
    """What to change. The same requests in the same order change the same rows.

    `seed` picks other rows. `at` is the `dateLastModified` of the change; without it the
    district's own clock is used, which starts at `FIRST_CHANGE` and moves a minute per churn.
    Rows that are deleted take their enrollments with them, inserted students bring six.
    """

    model_config = ConfigDict(extra="forbid")

    resource: Literal["students", "teachers", "classes", "enrollments", "courses", "schools"] = (
        "students"
    )
    insert: int = Field(0, ge=0, le=100_000)
    update: int = Field(0, ge=0, le=100_000)
    delete: int = Field(0, ge=0, le=100_000)
    seed: int = 0
    at: datetime | None = None
    delete_style: Literal["remove", "tobedeleted"] = "remove"

    @field_validator("at")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        """Take a naive time as UTC; refuse one that leaves the calendar in UTC."""
        if value is None:
            return None
        try:
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        except OverflowError as error:
            raise ValueError("at lies outside the calendar") from error


class Churned(NamedTuple):
    """The keys that were changed, and the `dateLastModified` they carry."""

    table: Table
    inserted: list[int]
    updated: list[int]
    deleted: list[int]
    modified: str


class Churner:
    """Applies churn to one roster; counts, because each churn picks other rows."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.count = 0

    def apply(self, request: ChurnRequest) -> Churned:
        """Change the rows. `ValueError` when a resource cannot grow or shrink."""
        roster = self._roster
        tables = {table.name: table for table in roster.tables()}
        table = tables[request.resource]
        if request.resource in ("courses", "schools") and (request.insert or request.delete):
            raise ValueError(f"{request.resource} can be updated, not inserted or deleted")
        self.count += 1
        at = request.at or FIRST_CHANGE + self.count * STEP
        modified = stamp(at)
        salt = salt_of(roster.seed ^ request.seed ^ (self.count << 20), request.resource)
        live = list(picks(salt, len(table), request.delete + request.update))
        keys = [table.at(position) for position in live]
        deleted, updated = keys[: request.delete], keys[request.delete :]
        inserted = self._new_keys(table, salt ^ 1, request.insert)
        table.touch(updated, modified)
        self._delete(table, deleted, modified, mark=request.delete_style == "tobedeleted")
        table.add(inserted, modified)
        if table is roster.students:
            slots = (key * 8 + slot for key in inserted for slot in range(CLASSES_PER_COHORT))
            enrollments = [key for key in slots if roster.class_of(key) in roster.classes]
            roster.enrollments.add(enrollments, modified)
        return Churned(table, sorted(inserted), sorted(updated), sorted(deleted), modified)

    def restore(self) -> None:
        """Bring all data back to the start."""
        for table in self._roster.tables():
            table.restore()
        self.count = 0

    def _delete(self, table: Table, keys: list[int], modified: str, *, mark: bool) -> None:
        roster = self._roster
        if table is roster.students:
            hanging = [e for key in keys for e in roster.enrollments_of_student(key)]
        elif table is roster.classes:
            hanging = [e for key in keys for e in roster.enrollments_of_class(key)]
        else:
            hanging = []
        if hanging:
            roster.enrollments.remove(hanging, modified, mark=mark)
        table.remove(keys, modified, mark=mark)

    def _new_keys(self, table: Table, salt: int, count: int) -> list[int]:
        """Return unused keys next to rows picked at random; fewer when the gaps are full."""
        new: dict[int, None] = {}
        for position in picks(salt, len(table), count):
            neighbour = table.at(position)
            for key in self._gap(table, neighbour):
                if key not in new and key not in table:
                    new[key] = None
                    break
        return list(new)

    def _gap(self, table: Table, neighbour: int) -> list[int]:
        if table is self._roster.enrollments:
            first = neighbour >> 3 << 3
            # A class may have been deleted since; nobody is enrolled in what is gone.
            return [
                key
                for key in (first + 6, first + 7)
                if self._roster.class_of(key) in self._roster.classes
            ]
        unit = 16 if table is self._roster.classes else 8
        first = neighbour // unit * unit
        return [first + slot for slot in _INSERT_SLOTS[table.name]]


def stamp(at: datetime) -> str:
    """Return an instant of UTC as OneRoster writes it.

    >>> stamp(datetime(2026, 9, 1, 8, tzinfo=UTC))
    '2026-09-01T08:00:00.000Z'
    """
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
