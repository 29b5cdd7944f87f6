"""Tokens by the command line: made once, used by the environment, ended at once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sisgate.cli.main import execute
from tests.acceptance.cli.command import Command

Run = Callable[..., Any]


@pytest.fixture
def run(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command in this process, as somebody, and return its JSON; no token is ever shown."""

    def one(*words: str, token: str | None = None, code: int = 0) -> Any:
        monkeypatch.setenv("SISGATE_TOKEN", token or "")
        assert execute(["--data-dir", str(command.folder), *words, "--json"]) == code, words
        said = capsys.readouterr()
        assert token is None or token not in said.out + said.err
        return json.loads(said.out) if said.out else None

    return one


def test_a_command_does_what_its_token_may_and_no_more(command: Command, run: Run) -> None:
    """From an open install to one that requires tokens, with a first admin."""
    run("db", "upgrade")
    run("keys", "master")
    closed = 'access = "tokens"\n' + command.config.read_text("utf-8")
    command.config.write_text(closed, encoding="utf-8")
    assert run("jobs", "list", code=77)["error"]["code"] == "not_authenticated"

    made = command("tokens", "add", "ana", "--role", "admin", "--scope", "*")
    assert "names no" not in made.stderr
    admin = made.stdout.strip()
    assert admin.startswith("sisgate_")
    assert admin not in made.stderr
    run("tokens", "add", "eve", "--role", "admin", code=77)

    words = ("gradebook", "--role", "app", "--scope", "skyward/students")
    app = run("tokens", "add", *words, token=admin)
    assert run("jobs", "list", token=app["token"]) == []
    run("records", "skyward", "students", token=app["token"])
    assert [one["name"] for one in run("providers", token=app["token"])] == ["skyward"]
    for refused in (
        ["records", "skyward", "orgs"],
        ["pause", "skyward"],
        ["keys", "list"],
        ["keys", "list", "skyward"],
        ["providers", "show", "powerschool"],
        ["tokens", "list"],
        ["sync", "powerschool", "students"],
    ):
        error = run(*refused, token=app["token"], code=77)["error"]
        assert error["code"] == "access_denied"
    listed = run("tokens", "list", token=admin)
    assert [token["name"] for token in listed] == ["ana", "gradebook"]
    assert all(token["last_used_at"] and "token" not in token for token in listed)

    run("tokens", "revoke", app["id"], "--reason", "test", token=admin)
    error = run("jobs", "list", token=app["token"], code=77)["error"]
    assert error["code"] == "not_authenticated"
    for file in command.folder.glob("sisgate.db*"):
        assert app["token"].encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        ("nope/students", "No provider 'nope' is configured"),
        ("skywrd/students", "Did you mean 'skyward'?"),
        ("skyward/student", "Did you mean 'students'?"),
        ("*/student", "Did you mean 'students'?"),
    ],
)
def test_a_scope_that_leads_nowhere_is_refused(command: Command, scope: str, says: str) -> None:
    """A token that opens nothing would be noticed late; the typing error is seen now."""
    refused = command("tokens", "add", "x", "--role", "app", "--scope", scope, code=3)
    assert says in refused.stderr
    assert refused.stdout == ""
