"""What somebody without the audit keys may do to a log by SQL: single changes, drawn at random."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import LargeBinary, RowMapping, bindparam, text
from sqlalchemy.orm import Session

from sisgate.audit.content import ranges_of
from sisgate.ledger.audit_chain import EVENT_COLUMNS, SEAL_COLUMNS

EVENTS, SEALS = "audit_events", "audit_seals"
CONTENT = (*EVENT_COLUMNS[2:], "mac")
BINARY = {"mac", "digest", "head"}


@dataclass(frozen=True)
class Scene:
    """The log before it is changed, and where the dice come from."""

    session: Session
    dice: random.Random

    def rows(self, table: str) -> list[RowMapping]:
        """Return all rows of a table in order."""
        order = "writer, number" if table == EVENTS else "number"
        return list(
            self.session.execute(text(f"SELECT * FROM {table} ORDER BY {order}")).mappings()
        )

    def any(self, table: str) -> RowMapping:
        return self.dice.choice(self.rows(table))

    def change(self, table: str, row: RowMapping, **values: Any) -> None:
        """Set columns of a row."""
        wanted = ", ".join(f"{name} = :new_{name}" for name in values)
        words = {f"new_{name}": value for name, value in values.items()}
        self._run(f"UPDATE {table} SET {wanted} WHERE {_key(table)}", row, words)

    def delete(self, table: str, row: RowMapping) -> None:
        self._run(f"DELETE FROM {table} WHERE {_key(table)}", row, {})

    def insert(self, table: str, row: dict[str, Any]) -> None:
        names = list(row)
        words = ", ".join(f":new_{name}" for name in names)
        self._run(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({words})",
            {},
            {f"new_{name}": value for name, value in row.items()},
        )

    def _run(self, sql: str, row: Any, words: dict[str, Any]) -> None:
        where = {name: row[name] for name in ("writer", "number") if f":{name}" in sql}
        statement = text(sql)
        binary = [bindparam(name, type_=LargeBinary) for name in words if name[4:] in BINARY]
        self.session.execute(statement.bindparams(*binary), {**where, **words})


def _key(table: str) -> str:
    return "writer = :writer AND number = :number" if table == EVENTS else "number = :number"


def _other(dice: random.Random, value: Any) -> Any:
    """Return something else of the same kind."""
    match value:
        case None:
            return dice.choice(["", "x"])
        case bytes() | memoryview():
            raw = bytearray(value)
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
            return bytes(raw)
        case int():
            return value + dice.choice([-1, 1, 7])
        case datetime():
            return value + timedelta(microseconds=dice.choice([-1, 1, 10**6, 10**10]))
        case str() if _is_time(value):
            later = datetime.fromisoformat(value) + timedelta(microseconds=dice.choice([1, 10**9]))
            return dice.choice([str(later), value.replace(" ", "T"), f"{value}0"])
        case str():
            place = dice.randrange(len(value) + 1)
            return dice.choice([value[:place] + "x" + value[place:], value[:place] + "y", None, ""])
    raise AssertionError(value)


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


_REQUIRED = {"at", "actor", "action", "subject", "mac", "covers", "digest", "head"}


def other_value(dice: random.Random, column: str, value: Any) -> Any:
    """Return something else that the column may hold."""
    while True:
        new = _other(dice, value)
        if new != value and not (new is None and column in _REQUIRED):
            return new


def change_event(scene: Scene) -> str:
    """One column of one event is something else."""
    row, column = scene.any(EVENTS), scene.dice.choice(CONTENT)
    scene.change(EVENTS, row, **{column: other_value(scene.dice, column, row[column])})
    return f"{column} of {row['writer']}/{row['number']}"


def delete_events(scene: Scene) -> str:
    """One or several events of a writer that are not its unsealed end are gone."""
    rows = scene.rows(EVENTS)
    last = {row["writer"]: row["number"] for row in rows}
    inner = [row for row in rows if row["number"] < last[row["writer"]]]
    first = scene.dice.choice(inner)
    count = scene.dice.choice([1, 1, 1, 2, 5])
    for row in inner:
        if row["writer"] == first["writer"] and 0 <= row["number"] - first["number"] < count:
            scene.delete(EVENTS, row)
    return f"{count} from {first['writer']}/{first['number']}"


def insert_event(scene: Scene) -> str:
    """An event is put in: a copy of another one, with a number or a writer that is free."""
    row = dict(scene.any(EVENTS))
    rows = scene.rows(EVENTS)
    last = max(r["number"] for r in rows if r["writer"] == row["writer"])
    match scene.dice.randrange(3):
        case 0:
            row["number"] = last + 1
        case 1:
            row["number"] = last + scene.dice.randrange(2, 50)
        case _:
            row["writer"] += scene.dice.choice([-1, 1, 1 << 20])
    row["subject"] = scene.dice.choice([row["subject"], "call/forged"])
    scene.insert(EVENTS, row)
    return f"{row['writer']}/{row['number']}"


def exchange_events(scene: Scene) -> str:
    """Two events have changed places, with all that is in them but writer and number."""
    one, other = scene.dice.sample(scene.rows(EVENTS), 2)
    scene.change(EVENTS, one, **{name: other[name] for name in CONTENT})
    scene.change(EVENTS, other, **{name: one[name] for name in CONTENT})
    return f"{one['writer']}/{one['number']} and {other['writer']}/{other['number']}"


def rename_writer(scene: Scene) -> str:
    """All events of a writer are another one's."""
    writer = scene.any(EVENTS)["writer"]
    for row in scene.rows(EVENTS):
        if row["writer"] == writer:
            scene.change(EVENTS, row, writer=writer + 1)
    return str(writer)


def change_seal(scene: Scene) -> str:
    """One column of a seal is something else."""
    row, column = scene.any(SEALS), scene.dice.choice([*SEAL_COLUMNS[1:], "head"])
    new = other_value(scene.dice, column, row[column])
    if column == "covers":
        (writer, first, last), *rest = ranges_of(row[column])
        new = scene.dice.choice([new, str([[writer, first, last + 1], *map(list, rest)]), "[]"])
    scene.change(SEALS, row, **{column: new})
    return f"{column} of seal {row['number']}"


def delete_seal(scene: Scene) -> str:
    """A seal is gone."""
    row = scene.any(SEALS)
    scene.delete(SEALS, row)
    return f"seal {row['number']}"


def exchange_seals(scene: Scene) -> str:
    """Two seals have changed places."""
    one, other = scene.dice.sample(scene.rows(SEALS), 2)
    names = [*SEAL_COLUMNS[1:], "head"]
    scene.change(SEALS, one, **{name: other[name] for name in names})
    scene.change(SEALS, other, **{name: one[name] for name in names})
    return f"seals {one['number']} and {other['number']}"


def insert_seal(scene: Scene) -> str:
    """A seal is put at the end, with what another one says."""
    row = dict(scene.any(SEALS))
    row["number"] = max(r["number"] for r in scene.rows(SEALS)) + 1
    scene.insert(SEALS, row)
    return f"seal {row['number']}"


def cut_off(scene: Scene) -> str:
    """The end of the log is gone: some seals, what they covered and what came later, and notes."""
    seals = scene.rows(SEALS)
    begin = scene.dice.randrange(len(seals))
    kept: dict[int, int] = {}
    for seal in seals[:begin]:
        kept |= {writer: last for writer, _, last in ranges_of(seal["covers"])}
    for seal in seals[begin:]:
        scene.delete(SEALS, seal)
    for row in scene.rows(EVENTS):
        if row["number"] > kept.get(row["writer"], 0):
            scene.delete(EVENTS, row)
    scene.session.execute(text("DELETE FROM audit_writers"))
    return f"from seal {begin + 1}"


MUTATIONS: tuple[Callable[[Scene], str], ...] = (
    change_event,
    delete_events,
    insert_event,
    exchange_events,
    rename_writer,
    change_seal,
    delete_seal,
    exchange_seals,
    insert_seal,
    cut_off,
)
"""Each changes the log and returns what it did, for the one who reads that it was not found."""
