"""Every command explains itself, with examples."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from sisgate.cli.main import app, execute


def commands(group: Any, *before: str) -> Iterator[list[str]]:
    """Every command with the groups in front of it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)
        else:
            yield [*before, name]


ALL = list(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_has_examples_of_the_command(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And each example names it."""
    assert execute([*words, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Examples:" in said
    assert f"sisgate {' '.join(words)}" in " ".join(said.split("Examples:")[1].split())


@pytest.mark.parametrize("words", [w for w in ALL if w != ["celery"]], ids=" ".join)
def test_every_command_speaks_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Programs use the same commands. What `sisgate celery` writes is Celery's."""
    execute([*words, "--help"])
    assert "--json" in capsys.readouterr().out


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line."""
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sisgate ")


def test_an_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and nothing on stdout."""
    assert execute(["up", "--workers", "many"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("words", [["--json", "up", "--bogus"], ["up", "--bogus", "--json"]])
def test_with_json_a_usage_error_is_json(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever the option stands, stdout holds one JSON value."""
    assert execute(words) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "usage"
    assert "--bogus" in error["message"]
