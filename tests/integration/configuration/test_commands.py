"""`sisgate config` and the commands that change one provider."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sisgate import Gateway
from sisgate.cli.invocation import Invocation
from sisgate.cli.main import execute
from testbed.clock import ManualClock
from testbed.installation import variables_of

Run = Callable[..., Any]


@pytest.fixture
def run(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command and returns its JSON, or with `text` what it wrote to stdout and stderr."""
    for name, value in variables_of(gateway.settings).items():
        monkeypatch.setenv(name, value)

    def command(*words: str, code: int = 0, text: bool = False) -> Any:
        capsys.readouterr()
        ended = execute([*words] if text else [*words, "--json"])
        out, err = capsys.readouterr()
        assert ended == code, f"{ended}: {out}{err}"
        return out + err if text else json.loads(out)

    return command


def test_a_file_is_checked_compared_applied_and_shown(run: Run, file: Path) -> None:
    """The way of a change by file, and back."""
    assert run("config", "check")["providers"] == ["lincoln", "adams"]
    assert [each["kind"] for each in run("config", "diff")["changes"]] == ["add"] * 3
    applied = run("config", "apply", "--yes", "--reason", "the first")
    assert (applied["version"], applied["is_new"]) == (1, True)
    shown = run("config", "show", text=True)
    assert shown.startswith("# Version 1, applied by ")
    file.write_text(shown, "utf-8")
    assert run("config", "apply", "--yes")["is_new"] is False
    assert run("config", "history")[0]["reason"] == "the first"


def test_a_change_needs_a_yes(run: Run) -> None:
    """A script that forgot it is told; nothing was applied."""
    told = run("config", "apply", code=2)
    assert "Add --yes" in told["error"]["message"]
    assert run("config", "history") == []


def test_one_provider_is_added_edited_and_removed(run: Run) -> None:
    """Without a file; a dry run changes nothing."""
    run("config", "apply", "--yes")
    new = ["kind=skyward", "url=https://sky.test", "limit=9/s", "retry.tries=2", "auth=bearer"]
    assert run("providers", "add", "new", *new, "--dry-run")["applied"] is False
    assert run("providers", "add", "new", *new, "--yes")["version"] == 2
    assert run("providers", "edit", "new", "limit=5/s", "--unset", "retry.tries", "--yes")
    document = run("config", "show")["document"]
    assert document["providers"]["new"] == {
        "kind": "skyward", "endpoints": [{"url": "https://sky.test"}], "limit": "5/s",
        "auth": "bearer",
    }  # fmt: skip
    renamed = ["providers", "rename-endpoint", "new", "https://sky.test", "https://b.test"]
    assert '{"weight": 1} → (none)' in run(*renamed, "--dry-run", text=True)
    run(*renamed, "--yes")
    removed = run("providers", "remove", "new", "--yes", "--reason", "a trial")
    assert [each["subject"] for each in removed["changes"]] == ["providers.new"]
    told = run("sync", "new", "students", code=3)
    assert told["error"]["code"] == "provider_removed"
    back = run("config", "rollback", "4", "--yes")
    assert back["version"] == 6
    changed = run("config", "diff", "--from", "2", "--to", "4")["changes"]
    assert {each["name"] for each in changed[0]["settings"]} >= {"limit", "retry.tries"}


def test_an_outdated_change_is_refused(run: Run, file: Path) -> None:
    """A pipeline names the version that it saw."""
    run("config", "apply", "--yes")
    run("providers", "edit", "adams", "burst=2", "--yes")
    told = run("config", "apply", str(file), "--yes", "--based-on", "1", code=2)
    assert told["error"]["code"] == "configuration_conflict"
    assert "config diff --from 1" in told["error"]["message"]


def test_a_removal_says_what_becomes_of_waiting_work(run: Run, gateway: Gateway) -> None:
    """Before and after."""
    run("config", "apply", "--yes")
    gateway.sync("adams", "students")
    told = run("providers", "remove", "adams", "--dry-run", text=True)
    assert "1 waiting job of adams ends as cancelled" in told
    assert "- providers.adams" in told
    assert run("providers", "remove", "adams", "--yes")["cancelled"] == {"adams": 1}
    told = run("providers", "remove", "adams", "lincoln", "--purge", "--dry-run", text=True)
    assert "--purge deletes 0 records, 0 changes and 0 responses of adams." in told
    counted = run("providers", "remove", "lincoln", "--purge", "--dry-run")
    assert (counted["remove"], counted["purge"]["lincoln"]["records"]) == (["lincoln"], 0)
    purged = run("providers", "remove", "adams", "lincoln", "--purge", "--yes")
    assert (purged["removed"], sorted(purged["purged"])) == (["lincoln"], ["adams", "lincoln"])


def test_a_version_with_a_reason_of_several_lines_is_shown_as_a_file(run: Run, file: Path) -> None:
    """The reason stays a comment."""
    run("config", "apply", "--yes", "--reason", "limits\n[apps.x]\nweight = 9")
    file.write_text(run("config", "show", text=True), "utf-8")
    assert run("config", "apply", "--yes")["is_new"] is False


def test_the_first_version_is_never_the_second(
    run: Run, gateway: Gateway, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor where this process does not know of the first one yet."""
    with closing(Gateway(gateway.settings, clock=ManualClock())) as lagging:
        monkeypatch.setattr(Invocation, "gateway", lagging)
        assert lagging.configuration.current().version == 0
        gateway.configuration.apply({"apps": {"gradebook": {"weight": 2}}}, actor="ana")
        assert lagging.configuration.current().version == 0
        said = run("config", "apply", str(file), "--first", "--yes")
    assert (said["version"], said["is_new"]) == (1, False)
    assert gateway.configuration.show().info.number == 1
