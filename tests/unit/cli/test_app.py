"""What every command shares: the global options, the answer to a wrong name, JSON."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main

from sisgate.cli.main import app, execute
from sisgate.cli.presenter import to_json


@pytest.mark.parametrize(
    "place", [0, 1, 2], ids=["before the group", "before the command", "after it"]
)
def test_global_options_may_stand_anywhere(
    place: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The data folder and `--json`, wherever they are written."""
    words = ["jobs", "show", "3f8a"]
    words[place:place] = ["--data-dir", str(tmp_path / "data"), "--json"]
    assert execute(words) == 4
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "database_unavailable"
    assert str(tmp_path / "data") in error["message"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["status"], "Commands: demo, up, serve, sandbox"),
        (["overview"], "No such command 'overview'. `sisgate dashboard` shows it. Commands: demo"),
        (["jobs", "lsit"], "Did you mean 'list'? Commands: list, show"),
        (["jobs", "list", "--state", "sleeping"], "'sleeping' is not one of 'accepted'"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, in the form of every other error."""
    assert execute(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert says in " ".join(shown.err.split())


def test_a_group_with_a_default_needs_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`sisgate providers` shows them; no other group does anything without a command."""
    root: Any = typer.main.get_command(app)
    defaults = [
        name
        for name, command in root.commands.items()
        if getattr(command, "invoke_without_command", False) and not command.no_args_is_help
    ]
    assert defaults == ["providers"]
    assert execute(["jobs"]) == 2
    assert "Usage: sisgate jobs" in capsys.readouterr().out


@dataclass(frozen=True)
class Thing:
    """A value as parts of the gateway return them."""

    at: datetime
    took: timedelta
    folder: Path


def test_what_the_gateway_returns_is_written_as_it_is() -> None:
    """Times in ISO 8601, lengths in seconds, paths as text."""
    thing = Thing(datetime(2026, 9, 1, tzinfo=UTC), timedelta(minutes=1.5), Path("/data"))
    assert json.loads(to_json({"things": [thing]})) == {
        "things": [{"at": "2026-09-01T00:00:00+00:00", "took": 90.0, "folder": "/data"}]
    }


@pytest.mark.parametrize("line", ["db upgrade", "keys master", "jobs list", "doctor", "env"])
@pytest.mark.parametrize("by_option", [True, False], ids=["--url", "SISGATE_URL"])
def test_a_password_in_the_url_is_not_shown(
    line: str, by_option: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be in the log of whatever runs the command."""
    url = "https://user:planted-4711@sisgate.test"
    words = ["--json", *line.split()]
    if by_option:
        words = ["--url", url, *words]
    else:
        monkeypatch.setenv("SISGATE_URL", url)
    assert execute(words) == 2
    shown = capsys.readouterr()
    assert "4711" not in shown.out + shown.err
    assert "SISGATE_URL is the address of the service and nothing more" in shown.err
