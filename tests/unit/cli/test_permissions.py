"""Every command has a place in the table of permissions, and nothing else has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from sisgate.access.policy import Action
from sisgate.cli.main import app
from sisgate.cli.permissions import NEEDS, OF_THE_MACHINE, needed


def commands(command: Any, path: str = "") -> Iterator[str]:
    """All commands, groups included, as they are written."""
    if path:
        yield path
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from commands(below, f"{path} {name}".strip())


ALL = sorted(commands(typer.main.get_command(app)))


def test_the_table_names_only_commands_that_exist() -> None:
    """A command that was renamed must not lose its permission unseen."""
    assert set(NEEDS) | OF_THE_MACHINE <= set(ALL)


@pytest.mark.parametrize(
    ("command", "action"),
    [
        ("records", Action.READ),
        ("request", Action.REQUEST),
        ("limits set", Action.CONTROL),
        ("limits show", Action.LOOK),
        ("keys add", Action.KEYS),
        ("tokens list", Action.ADMINISTER),
        ("not thought of yet", Action.ADMINISTER),
        ("up", None),
    ],
)
def test_a_command_needs_what_it_does(command: str, action: Action | None) -> None:
    """And one that nobody thought of needs an admin."""
    assert needed(command) == action
