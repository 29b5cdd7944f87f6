"""docs/reference/logs.md has every event of the code, with its levels and its fields."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from sisgate.credentials.rotation import Act

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "logs.md"
LEVELS = {
    "debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error",
}  # fmt: skip
IDS = {"call": {"provider"}, "key": {"provider"}, "slot": {"provider"}, "endpoint": {"provider"}}
"""What a field does not say alone: an event that has one has these, too, or is within a call."""

SILENT = {"check", "later"}
"""Steps of a rotation that are not logged."""


def logged() -> Iterator[tuple[str, set[str], set[str]]]:
    """Each event that the code logs, with its levels and fields."""
    for package in ("sisgate", "workers"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and node.args and (levels := _levels(node)):
                    fields = {each.arg or "**" for each in node.keywords}
                    for event in _events(node.args[0]):
                        yield event, levels, fields


def _levels(call: ast.Call) -> set[str]:
    """The levels of a call of a logger, or of `write`, which may be one of several."""
    function = call.func
    if isinstance(function, ast.Attribute) and ast.unparse(function.value) == "log":
        return {LEVELS[function.attr]} if function.attr in LEVELS else set()
    if isinstance(function, ast.Name) and function.id == "write" and call.keywords:
        return {"any"}
    return set()


def _events(name: ast.expr) -> Iterator[str]:
    match name:
        case ast.Constant(value=str(event)):
            yield event
        case ast.IfExp(body=one, orelse=other):
            yield from (*_events(one), *_events(other))
        case ast.JoinedStr():  # the steps of a rotation
            assert ast.unparse(name).startswith('f"key_{step.act')
            yield from (
                f"key_{act.replace(' ', '_')}" for act in get_args(Act) if act not in SILENT
            )
        case _:
            raise AssertionError(f"an event without a static name: {ast.unparse(name)}")


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """The levels and fields of each event on the page."""
    rows = {}
    for line in PAGE.read_text("utf-8").split("## Events")[1].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            fields = set(re.findall(r"`(\w+)`", cells[2]))
            for event in re.findall(r"`(\w+)`", cells[0]):
                assert event not in rows, f"{event} twice"
                rows[event] = set(cells[1].split(", ")), fields
    return rows


def test_every_event_is_on_the_page_with_its_levels_and_fields() -> None:
    """And none that is no more."""
    rows = documented()
    levels: dict[str, set[str]] = defaultdict(set)
    fields: dict[str, set[str]] = defaultdict(set)
    for event, at, names in logged():
        levels[event] |= at
        fields[event] |= names
    assert set(rows) == set(fields)
    for event, (told_levels, told) in rows.items():
        assert told == fields[event], event
        assert levels[event] in ({"any"}, told_levels), event


def test_events_carry_the_ids_that_make_them_findable() -> None:
    """A call or key without its provider leads nowhere."""
    for event, _, fields in logged():
        for field, needed in IDS.items():
            if field in fields and event != "call_ended":  # within a call
                assert needed <= fields, event
