"""The audit log at the command line: what was done, and whether the log of it is whole."""

import csv
import getpass
import io
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from sisgate.ledger import audit_guard
from tests.acceptance.cli.command import Command


def events(command: Command, *words: str) -> list[dict[str, object]]:
    """Return what `audit search` finds."""
    return [
        json.loads(line)
        for line in command("audit", "search", *words, "--json").stdout.splitlines()
    ]


def test_what_was_done_is_found_by_whom_to_what_and_when(running: Command) -> None:
    """A sync with its calls, and a disclosure with its purpose and its count."""
    running("records", "skyward", "students", "-n", "3", "--purpose", "parents' evening")
    (job, *_) = running.json("jobs", "list", "--limit", "1")
    accepted = events(running, "--job", job["id"], "--action", "gateway:job")
    assert [event["subject"] for event in accepted] == [f"job/{job['id']}"]
    intents = events(running, "--job", job["id"], "--action", "workers:call:intent")
    outcomes = events(running, "--job", job["id"], "--action", "workers:call:outcome")
    assert [e["subject"] for e in intents] == [e["subject"] for e in outcomes]
    given = events(running, "--action", "gateway:dataset:disclose", "--provider", "skyward")
    assert [event["reason"] for event in given[-2:]] == ["parents' evening"] * 2
    assert isinstance(given[-1]["detail"], dict)
    assert given[-1]["detail"]["records"] == 3
    assert events(running, "--until", "2020-01-01") == []
    table = running("audit", "tail", "-n", "5").stdout
    assert "gateway:dataset:disclose" in table
    rows = list(csv.DictReader(io.StringIO(running("audit", "search", "--format", "csv").stdout)))
    assert len(rows) >= len(intents) + len(outcomes)


def test_who_read_a_student_is_told(running: Command) -> None:
    """The user of this machine, with the purpose, as a table and as JSON."""
    student = running.json("records", "skyward", "students", "-n", "1", "--purpose", "bus list")
    person = f"skyward/{student['sourcedId']}"
    told = running.json("audit", "disclosures", person)["disclosures"]
    assert (told[-1]["purpose"], told[-1]["is_certain"]) == ("bus list", True)
    assert told[-1]["actor"] == getpass.getuser()
    assert "bus list" in running("audit", "disclosures", person).stdout


def test_a_running_stack_seals_by_itself(running: Command) -> None:
    """The log of a fleet at work verifies, and so does its export, without the database."""
    said = running.json("audit", "verify")
    assert (said["whole"], said["findings"]) == (True, [])
    assert said["seals"] >= 1
    exported = running.folder / "audit.jsonl"
    exported.write_text(running("audit", "export").stdout, encoding="utf-8")
    assert running.json("audit", "verify", str(exported))["whole"] is True
    # An auditor elsewhere has the file and the public key, and nothing else.
    (key,) = running("audit", "public-key").stdout.split()
    with TemporaryDirectory() as elsewhere:
        environment = {"PATH": os.environ["PATH"], "HOME": elsewhere}
        words = [sys.executable, "-m", "sisgate.cli", "audit", "verify", str(exported)]
        done = subprocess.run(
            [*words, "--public-key", key, "--json"],
            cwd=elsewhere, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert json.loads(done.stdout)["whole"] is True
    lines = exported.read_text("utf-8").splitlines()
    exported.write_text("\n".join([*lines[:3], *lines[4:]]) + "\n", encoding="utf-8")
    said = running.json("audit", "verify", str(exported), code=1)
    assert said["whole"] is False


def test_a_changed_log_is_told_with_the_place_and_exit_code_1(command: Command) -> None:
    """By somebody who took the triggers off; and nothing that was changed is archived."""
    command("db", "upgrade")
    command("keys", "master")
    command("sync", "skyward", "orgs")
    assert command.json("audit", "seal")["seal"] == 1
    assert command.json("audit", "verify")["whole"] is True
    head = json.loads(command("audit", "head").stdout)
    assert head["number"] == 1
    with sqlite3.connect(command.folder / "sisgate.db") as database:
        audit_guard.take_off(database.execute, "sqlite")
        database.execute(
            "UPDATE audit_events SET actor = 'app:other' WHERE action = 'gateway:job:accept'"
        )
        audit_guard.put_on(database.execute, "sqlite")
    said = command("audit", "verify", code=1).stdout
    assert "changed" in said
    assert "The log was changed" in said
    old = Path(command.folder / "old.jsonl")
    refused = command("audit", "archive", str(old), "--before", "2100-01-01", code=1)
    assert "not whole" in refused.stderr
    assert not old.exists()
