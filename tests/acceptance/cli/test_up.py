"""`sisgate up`: starts everything, restarts what crashes, stops everything, loses nothing."""

import os
import signal
import stat

from sisgate.sandbox import SandboxProcess
from testbed.stack import PATIENCE_SECONDS, wait_until
from tests.acceptance.cli.command import Command
from tests.acceptance.cli.conftest import add_key


def test_killed_processes_come_back_and_after_ctrl_c_the_next_start_goes_on(
    command: Command, sandbox: SandboxProcess
) -> None:
    """SIGKILL of any child costs a moment, not work; Ctrl-C ends every process.

    What is accepted while nothing runs is done after it, also in a shell with `sisgate env`.
    """
    command.up("--no-flower")
    add_key(command, sandbox, "skyward")
    before = command.pids()
    for name in ("worker", "beat", "redis"):
        os.kill(before[name], signal.SIGKILL)
    wait_until(
        lambda: all(command.pids().get(name, pid) != pid for name, pid in before.items()),
        "new processes",
    )
    (done,) = command.json("sync", "skyward", "orgs", "--wait", "--timeout", str(PATIENCE_SECONDS))
    assert done["state"] == "done"
    # A provider without its first key is not an emergency.
    alerts = command.json("alerts", "list", "--all")
    assert [each for each in alerts if each["severity"] == "critical"] == []
    assert command.down() == 0
    command.wait_until_gone()

    (waiting,) = command.json("sync", "skyward", "terms")
    assert waiting["state"] == "accepted"
    command.environment |= command.json("env")
    command.up("--no-flower")
    assert "redis" in command.pids()
    wait_until(
        lambda: command.json("jobs", "show", waiting["id"])["state"] == "done", "the waiting job"
    )
    assert command.json("jobs", "show", done["id"])["state"] == "done"


def test_nothing_outlives_a_killed_supervisor_and_flower_is_closed_to_strangers(
    command: Command,
) -> None:
    """SIGKILL of `up` itself takes its children along, and the folder can be used again.

    Flower has a password that only its owner can read. An empty configuration is no error.
    """
    command.config.write_text("")
    assert "no provider" in command("doctor", code=1).stdout
    process = command.up()
    file = command.folder / "flower-password.txt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((command.folder / "master.key").stat().st_mode) == 0o600
    secret = file.read_text().strip().split(":")[1]
    assert not any(secret in line for line in command.processes())
    process.kill()
    assert command.down() == -signal.SIGKILL
    command.wait_until_gone()

    command.up("--no-flower")
    assert command.down(signal.SIGTERM) == 0


def test_a_second_stack_on_the_folder_is_refused(running: Command) -> None:
    """Two Redis on one append-only file would destroy it."""
    ended = running("up", code=2)
    assert "Another sisgate (process" in ended.stderr
    assert "--data-dir" in ended.stderr


def test_up_uses_the_servers_that_are_named(
    command: Command, sandbox: SandboxProcess, redis_url: str, postgres_url: str
) -> None:
    """With both URLs set it starts no Redis, and the ledger is in PostgreSQL."""
    command.environment |= {"SISGATE_BROKER_URL": redis_url, "SISGATE_DATABASE_URL": postgres_url}
    command.up("--no-flower")
    assert set(command.pids()) == {"worker", "beat"}
    add_key(command, sandbox, "skyward")
    (job,) = command.json("sync", "skyward", "orgs", "--wait", "--timeout", str(PATIENCE_SECONDS))
    assert job["state"] == "done"
    assert command.down() == 0
    assert not (command.folder / "sisgate.db").exists()


def test_up_tells_that_the_redis_that_is_named_is_silent(command: Command) -> None:
    """With the variable, and not only in the logs of a worker."""
    command.config.write_text("")
    command.environment["SISGATE_BROKER_URL"] = "redis://:swordfish@127.0.0.1:1/0"
    process = command.up("--no-flower", "--workers", "1")
    wait_until(lambda: "SISGATE_BROKER_URL" in said(command), "the warning")
    assert "swordfish" not in said(command)
    process.kill()
    assert command.down() == -signal.SIGKILL


def said(command: Command) -> str:
    """What `sisgate up` wrote to stderr."""
    return (command.folder.parent / "up.log").read_text()
