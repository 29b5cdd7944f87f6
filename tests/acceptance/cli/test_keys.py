"""`sisgate keys` as a person types it; no secret is an argument, and none comes back."""

import base64
from typing import Any

import pytest

from testbed.stack import wait_until
from tests.acceptance.cli.command import Command

NAME = "skyward"
SECRET = "swordfish-4711"


@pytest.fixture
def stored(running: Command) -> Command:
    """The stack, whose provider has its usual key only."""
    for key in keys(running):
        if key["client_id"] != f"sandbox-{NAME}":
            running("keys", "revoke", NAME, key["key"])
    return running


def keys(command: Command, *words: str) -> Any:
    """The keys of the provider, as JSON."""
    return command.json("keys", "list", NAME, *words)


def stage(command: Command, client_id: str, secret: str = SECRET) -> Any:
    """Stage a key, its secret from stdin."""
    words = ("--client-id", client_id, "--secret-file", "-", "--expires", "30d")
    return command.json("keys", "stage", NAME, *words, stdin=f"{secret}\n")


def test_a_staged_key_waits_and_is_taken_back(stored: Command) -> None:
    """It is listed without its secret, and revoked by a rollback."""
    staged = stage(stored, "new")
    assert staged["state"] == "staged"
    shown = stored("keys", "list", NAME).stdout + stored("keys", "usage", NAME).stdout
    assert "staged" in shown
    assert SECRET not in shown + str(keys(stored, "--all"))
    words = ("keys", "stage", NAME, "--client-id", "newer", "--secret-file", "-")
    assert f"The staged key {staged['key'][:8]} of" in stored(*words, stdin=SECRET).stderr
    taken = stored.json("keys", "rollback", NAME)
    assert (taken["state"], len(taken["destroyed"])) == ("active", 1)
    assert [key["state"] for key in keys(stored)] == ["active"]


def test_a_rotation_with_a_bad_key_leaves_the_active_one(stored: Command) -> None:
    """The canary fails, and the reason can be read."""
    staged = stage(stored, "unknown-to-the-provider")
    stored("keys", "rotate", NAME, "--reason", "test")

    def reason() -> str:
        found = {key["key"]: key for key in keys(stored, "--all")}
        return found[staged["key"]]["reason"] or ""

    wait_until(lambda: "refused key" in reason(), "the failed canary")
    assert f"Key {staged['key'][:8]}: its canary failed" in stored("keys", "list", NAME).stdout
    (active,) = [key for key in keys(stored) if key["state"] == "active"]
    assert active["client_id"] == f"sandbox-{NAME}"
    assert active["suspect_at"] is None


def test_mistakes_are_told(stored: Command) -> None:
    """With what to do."""
    said = stored("keys", "rotate", NAME, code=2).stderr
    assert "keys stage" in said
    assert "keys list" in stored("keys", "revoke", NAME, "nope", code=3).stderr
    assert (
        "'x' is not one of 'primary'"
        in stored("keys", "rotate", NAME, "--slot", "x", code=2).stderr
    )


def test_the_master_key_is_renewed_and_the_old_one_forgotten(command: Command) -> None:
    """Not while it is in use, nor while the audit log is proven by it."""
    command("db", "upgrade")
    command("keys", "master")
    command("keys", "add", NAME, "--client-id", "41", "--secret-file", "-", stdin=SECRET)
    new = command.json("keys", "master", "--renew")["master_key"]
    old = next(key["id"] for key in command.json("keys", "masters") if key["id"] != new)
    assert "rewrap" in command("keys", "forget-master", old, code=2).stderr
    assert command.json("keys", "rewrap")["moved"]["keys.sealed_secret"] == 1
    assert "audit new-key" in command("keys", "forget-master", old, code=2).stderr
    file = command.folder / "audit.key"
    command("audit", "new-key", str(file))
    environment = {"SISGATE_AUDIT_KEY_FILE": str(file)}
    forgotten = command.json("keys", "forget-master", old[:6], environment=environment)
    assert forgotten == {"forgotten": old}
    assert "whole" in command("audit", "verify", environment=environment).stdout


def test_no_master_key_is_made_for_a_ledger_that_needs_another(command: Command) -> None:
    """Neither by `up` nor by `keys master`, nor is another one taken, until it is given up."""
    command("db", "upgrade")
    command("keys", "master")
    command("keys", "add", NAME, "--client-id", "41", "--secret-file", "-", stdin=SECRET)
    file = command.folder / "master.key"
    (lost,) = [key["id"] for key in command.json("keys", "masters")]
    file.unlink()
    assert lost in command("up", "--no-flower", code=2).stderr
    assert lost in command("keys", "master", code=2).stderr
    assert not file.exists()
    assert not (command.folder / "redis").exists()

    command("keys", "master", str(file), code=2)
    file.write_text(base64.b64encode(b"w" * 32).decode())
    assert lost in command("up", "--no-flower", code=2).stderr
    found = command.json("doctor", code=1)["findings"]
    (finding,) = [each for each in found if each["subject"] == "master key"]
    assert finding["grade"] == "fail"
    assert lost in finding["what"]

    file.unlink()
    given_up = command.json("keys", "master", "--lost", "--reason", "the disk is gone")
    assert given_up["made"]
    assert lost in given_up["lost"]
    assert not command.json("keys", "master", "--lost")["lost"]
    found = command.json("doctor", code=1)["findings"]
    assert [each["grade"] for each in found if each["subject"] == "master key"] == ["ok"]


def test_doctor_says_which_key_is_only_draining(command: Command) -> None:
    """What is wrong with it was put right already by the one that replaced it."""
    command("db", "upgrade")
    command("keys", "master")
    for client_id in ("wrong", "right"):
        command("keys", "add", NAME, "--client-id", client_id, "--secret-file", "-", stdin=SECRET)
    found = command.json("doctor", code=1)["findings"]
    told = [each["what"] for each in found if each["subject"] == f"{NAME} key"]
    assert [(" draining" in what, "wrong" in what) for what in told] == [
        (False, False),
        (True, True),
    ]
