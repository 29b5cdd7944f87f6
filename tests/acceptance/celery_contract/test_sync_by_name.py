"""An app that only has Celery asks for syncs by name, as documented."""

import json
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sisgate.broker import celery_app
from sisgate.errors import UnknownJob
from sisgate.gateway import JobStatus
from sisgate.ledger import controls
from testbed.stack import PATIENCE_SECONDS, Stack, wait_until

NAME = "skyward"


def order(stack: Stack, *orders: dict[str, Any]) -> list[str]:
    """Send orders from another process, which imports only Celery, and return the task ids."""
    program = Path(__file__).with_name("other_app.py")
    done = subprocess.run(
        [sys.executable, "-I", str(program), stack.redis_url, json.dumps(orders)],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    return done.stdout.split()


def answers(stack: Stack, *orders: dict[str, Any]) -> list[dict[str, Any]]:
    """Send orders the same way and return their results, which come by `rpc://`."""
    program = Path(__file__).with_name("other_app.py")
    done = subprocess.run(
        [sys.executable, "-I", str(program), stack.redis_url, json.dumps(orders), "asked"],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def ended(stack: Stack, job_id: str) -> JobStatus:
    """Return the job of a task id once it exists and has ended."""

    def exists() -> bool:
        try:
            stack.gateway.jobs.status(job_id)
        except UnknownJob:
            return False
        return True

    wait_until(exists, f"the job of task {job_id}")
    return stack.gateway.jobs.wait(job_id, PATIENCE_SECONDS)


def test_the_task_id_is_the_job_id(stack: Stack) -> None:
    """The other app follows the job by the id that `send_task` gave it."""
    stack.fresh(NAME)
    kwargs = {"provider": NAME, "resource": "orgs", "priority": "high", "app": "roster-app"}
    (task_id,) = order(stack, {"kwargs": kwargs})
    status = ended(stack, task_id)
    assert (status.state, status.app, status.priority.word) == ("done", "roster-app", "high")
    assert stack.ids(NAME, "orgs")


def test_a_second_delivery_does_nothing_more(postgres_stack: Stack) -> None:
    """The same message three times is one job, and one list read once."""
    postgres_stack.fresh(NAME)
    task_id = str(uuid.uuid4())
    message = {"args": [NAME, "terms"], "task_id": task_id}
    order(postgres_stack, message, message, message)
    assert ended(postgres_stack, task_id).state == "done"
    (marker,) = order(postgres_stack, {"args": [NAME, "orgs"]})
    ended(postgres_stack, marker)
    assert postgres_stack.gateway.jobs.status(task_id).calls_made == 1


WRONG: Sequence[tuple[dict[str, Any], str]] = (
    ({"kwargs": {"provider": "nobody", "resource": "orgs"}}, "No provider 'nobody'"),
    ({"kwargs": {"provider": NAME, "resource": "cafeteria"}}, "no resource 'cafeteria'"),
    ({"kwargs": {"provider": NAME, "resource": "orgs", "priority": "now"}}, "priority is one"),
    ({"kwargs": {"provider": NAME, "resource": "orgs", "mode": "quick"}}, "mode is one of"),
    ({"kwargs": {"provider": NAME, "resource": "orgs", "speed": 9}}, "speed"),
    ({"kwargs": {"provider": 5, "resource": ["orgs"]}}, "provider"),
    ({"kwargs": {"provider": NAME, "resource": "orgs", "timeout": "soon"}}, "timeout"),
    ({"kwargs": {"provider": NAME, "resource": "orgs", "timeout": -1}}, "timeout"),
    ({"kwargs": {"provider": NAME, "resource": "orgs", "app": None}}, "app"),
    ({"kwargs": {"provider": NAME, "resource": "o\0rgs\ud800" * 99}}, "no resource"),
    ({"kwargs": {"provider": NAME}}, "resource"),
    ({"args": []}, "provider"),
    ({"args": [NAME, "orgs", "high", 4]}, "by name"),
)
"""Messages, and what the error of each says."""


def test_wrong_arguments_are_a_failed_job_that_says_why(postgres_stack: Stack) -> None:
    """The asker has nothing but the id, so the reason is found under it."""
    task_ids = order(postgres_stack, *(message for message, _ in WRONG))
    for task_id, (message, said) in zip(task_ids, WRONG, strict=True):
        status = ended(postgres_stack, task_id)
        assert (status.state, status.calls_made) == ("failed", 0), message
        assert said in (status.error or {})["message"]


def test_the_same_key_is_the_same_job(sqlite_stack: Stack) -> None:
    """A key that came before starts nothing; with other arguments it is an error."""
    sqlite_stack.fresh(NAME)
    key = {"idempotency_key": f"nightly-{uuid.uuid4()}", "app": "keys"}
    orgs = {"kwargs": {"provider": NAME, "resource": "orgs", **key}}
    (first,) = order(sqlite_stack, orgs)
    assert ended(sqlite_stack, first).state == "done"
    second, third = order(
        sqlite_stack, orgs, {"kwargs": {"provider": NAME, "resource": "terms", **key}}
    )
    conflict = ended(sqlite_stack, third)
    assert conflict.error is not None
    assert conflict.error["code"] == "idempotency_conflict"
    with pytest.raises(UnknownJob):
        sqlite_stack.gateway.jobs.status(second)


def test_an_app_without_our_code_asks_how_its_job_stands(sqlite_stack: Stack) -> None:
    """`sisgate.sync`, `.status` and `.cancel` answer by Celery's `rpc://`, and keep nothing."""
    sqlite_stack.fresh(NAME)
    task_id = str(uuid.uuid4())
    asked = {"kwargs": {"job_id": task_id, "app": "roster-app"}}
    sync, *_ = answers(
        sqlite_stack, {"args": [NAME, "orgs"], "kwargs": {"app": "roster-app"}, "task_id": task_id}
    )
    assert sync == {"job": task_id, "state": "accepted", "error": None}
    ended(sqlite_stack, task_id)
    status, stranger, cancelled, nothing = answers(
        sqlite_stack,
        {"name": "sisgate.status", **asked},
        {"name": "sisgate.status", "kwargs": {"job_id": task_id, "app": "another"}},
        {"name": "sisgate.cancel", **asked},
        {"name": "sisgate.status"},
    )
    assert (status["id"], status["state"], status["complete"]) == (task_id, "done", True)
    assert stranger["error"]["code"] == "unknown_job"
    assert cancelled["error"]["code"] == "invalid_state"
    assert "job_id is missing" in nothing["error"]["message"]


def test_a_job_is_cancelled_by_name(sqlite_stack: Stack) -> None:
    """It needs no result: the job says so itself."""
    sqlite_stack.gateway.providers.control(NAME).pause(actor="ana")
    try:
        (task_id,) = order(sqlite_stack, {"args": [NAME, "orgs"], "kwargs": {"app": "hasty"}})
        cancel = {"name": "sisgate.cancel", "args": [task_id], "kwargs": {"app": "hasty"}}
        order(sqlite_stack, cancel)
        assert ended(sqlite_stack, task_id).state == "cancelled"
    finally:
        sqlite_stack.gateway.providers.control(NAME).resume(actor="ana")


def test_what_a_message_asks_for_beside_its_sync_is_refused(sqlite_stack: Stack) -> None:
    """A callback would be sent with the rights of the fleet: the limit stays as it is."""
    raised = {
        "task": "sisgate.limits.set",
        "kwargs": {"provider": NAME, "limit": "1/d"},
        "options": {"queue": "sisgate"},
    }
    asked = {"link": raised, "link_error": raised, "chain": [raised], "countdown": 9}
    *task_ids, marker = order(
        sqlite_stack,
        *({"args": [NAME, "orgs"], option: what} for option, what in asked.items()),
        {"args": [NAME, "orgs"]},
    )
    for task_id, option in zip(task_ids, asked, strict=True):
        status = ended(sqlite_stack, task_id)
        assert status.state == "failed"
        name = "eta or countdown" if option == "countdown" else option
        assert f"takes no {name}:" in (status.error or {})["message"]
    assert ended(sqlite_stack, marker).state == "done"
    with sqlite_stack.gateway.context.database.read() as session:
        assert controls.windows_of(controls.get(session, NAME)) is None


def test_a_revoked_id_does_not_keep_an_accepted_job_from_being_planned(sqlite_stack: Stack) -> None:
    """The planning has the job's id; a worker that dropped it would drop it each time."""
    app = celery_app(sqlite_stack.settings, sqlite_stack.redis_url)
    job_id = str(uuid.uuid4())
    wait_until(lambda: bool(app.control.ping(timeout=1, limit=1)), "a worker")
    assert app.control.revoke(job_id, reply=True, timeout=20, limit=1)
    app.close()
    sqlite_stack.gateway.sync(NAME, "orgs", job_id=job_id)
    assert ended(sqlite_stack, job_id).state == "done"
