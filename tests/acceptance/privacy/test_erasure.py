"""A student who was erased stays out of a real sync, and everybody else comes."""

import json
from typing import Any

import pytest

from sisgate.cli.main import execute
from testbed.stack import Stack

NAME = "oneroster"
BY: dict[str, Any] = {"actor": "ana", "reason": "case 12"}


def users(stack: Stack) -> set[str]:
    """Who is enrolled in anything."""
    found = stack.gateway.records(NAME, "enrollments")
    return {record.data["user"]["sourcedId"] for record in found}


def some_student(stack: Stack) -> str:
    """Read the roster and return a student who is enrolled."""
    stack.fresh(NAME)
    for resource in ("students", "enrollments"):
        assert stack.sync(NAME, resource, mode="full").complete
    return min(stack.ids(NAME, "students") & users(stack))


def test_an_erased_student_does_not_come_back_until_that_is_lifted(stack: Stack) -> None:
    """The lists stay complete and proven without the student."""
    student = some_student(stack)
    everybody, enrolled = stack.ids(NAME, "students"), users(stack)
    report = stack.gateway.privacy.erase(NAME, student, **BY)
    assert (report.is_clean, report.suppressed) == (True, True)
    for resource in ("students", "enrollments"):
        ended = stack.sync(NAME, resource, mode="full")
        assert (ended.complete, ended.inserted, ended.deleted) == (True, 0, 0)
    assert stack.ids(NAME, "students") == everybody - {student}
    assert users(stack) == enrolled - {student}
    # What the later syncs left of the student at the edges of their pages is a pseudonym.
    assert stack.gateway.privacy.erase(NAME, student, **BY).is_clean

    assert stack.gateway.privacy.lift(NAME, student, **BY)
    stack.sync(NAME, "students", mode="full")
    assert stack.ids(NAME, "students") == everybody


def test_the_command_counts_then_erases_then_tells(
    sqlite_stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an exit code for each way it can end; no output names the student."""
    student = some_student(sqlite_stack)
    for name, value in sqlite_stack.environment().items():
        if name.startswith("SISGATE_"):
            monkeypatch.setenv(name, value)
    erase = ["erase", "--provider", NAME, "--person", student]

    assert execute(["retention", "--dry-run"]) == 0
    assert execute([*erase, "--dry-run"]) == 0
    assert student in sqlite_stack.ids(NAME, "students")
    assert execute([*erase, "--reason", f"{student} wants it"]) == 2
    assert execute(erase) == 2
    assert execute(["erase", "--provider", NAME, "--person", "nobody", "--reason", "x"]) == 3
    assert execute(["erase", "--provider", "moodle", "--person", student, "--reason", "x"]) == 3
    said = capsys.readouterr()
    assert student not in said.out + said.err
    assert execute([*erase, "--reason", "case 12", "--json"]) == 0
    said = capsys.readouterr()
    assert student not in said.out + said.err
    report = json.loads(said.out)
    assert (report["clean"], report["suppressed"], report["compacted"]) == (True, True, True)
    assert report["done"]["records"] >= 2
    person = ["audit", "search", "--person", f"{NAME}/{student}", "--json"]
    assert execute(person) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "privacy:person:erase" in {event["action"] for event in found}
    assert execute(["audit", "search", "--person", student]) == 2
    assert execute([*erase, "--lift", "--reason", "enrolled again"]) == 0
