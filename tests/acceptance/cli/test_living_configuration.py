"""A fleet that runs: a district comes and goes without a restart of anything."""

from sisgate.sandbox import SandboxProcess
from testbed.stack import PATIENCE_SECONDS, configuration, wait_until
from tests.acceptance.cli.command import Command
from tests.acceptance.cli.conftest import add_key


def versions(command: Command) -> list[int]:
    """The numbers of all versions, newest first."""
    return [each["number"] for each in command.json("config", "history")]


def test_a_district_comes_and_goes_while_the_fleet_runs(
    command: Command, sandbox: SandboxProcess
) -> None:
    """By the file and by command; a mistake leaves the running version alone."""
    both = command.config.read_text("utf-8")
    command.config.write_text(
        configuration({"powerschool": sandbox.districts["powerschool"]}, {}), "utf-8"
    )
    command.up("--no-flower")
    assert versions(command) == [1]
    before = command.pids()

    command.config.write_text(both, "utf-8")
    wait_until(lambda: versions(command) == [2, 1], "the version of the saved file")
    add_key(command, sandbox, "skyward")
    patience = ["--wait", "--timeout", str(PATIENCE_SECONDS)]
    (job,) = command.json("sync", "skyward", "orgs", *patience)
    assert job["state"] == "done"

    command.config.write_text(both.replace("skyward", "skywrd"), "utf-8")
    said = command.folder.parent / "up.log"
    wait_until(lambda: "not applied, the configuration stays" in said.read_text(), "the mistake")
    command.config.write_text(both, "utf-8")
    assert versions(command) == [2, 1]

    command("providers", "edit", "skyward", "limit=7/h", "--yes")
    wait_until(lambda: limit_of(command) == ["7/h"], "the limit")
    command("providers", "remove", "skyward", "--yes", "--reason", "contract ended")
    told = command.json("sync", "skyward", "orgs", code=3)
    assert "contract ended" in told["error"]["message"]
    command("config", "rollback", "2", "--yes")
    (again,) = command.json("sync", "skyward", "orgs", *patience)
    assert again["state"] == "done"
    assert command.pids() == before


def limit_of(command: Command) -> list[str]:
    """The limits of skyward that the limiter applies."""
    shown = command.json("limits", "show", "skyward")
    return [window["limit"] for window in shown["windows"]]
