"""The examples that are programs, as processes of their own, with real workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sisgate.errors import UnknownJob
from testbed.installation import variables_of
from testbed.stack import PATIENCE_SECONDS, Stack, wait_until
from testbed.web_service import WebService

NAME = "powerschool"
EXAMPLES = Path(__file__).parents[3] / "examples"


def run(stack: Stack, program: str, *arguments: str, code: int = 0) -> str:
    """Run an example in the environment that `sisgate env` prints; return what it says."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program), *arguments],
        check=False, env={**os.environ, **variables_of(stack.settings)}, cwd="/",
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def fresh(sqlite_stack: Stack) -> Stack:
    """A stack that has nothing of the provider yet."""
    sqlite_stack.fresh(NAME)
    return sqlite_stack


def test_the_script_syncs_reads_and_asks(fresh: Stack) -> None:
    """It ends with the next cursor and a response."""
    said = run(fresh, "enqueue.py").splitlines()
    assert said[0].startswith("done: ")
    assert any(line.startswith("insert ") for line in said)
    assert said[-2].startswith("the next cursor is ")
    assert said[-1].startswith("200 ")


def test_the_script_over_http_goes_on_where_it_ended(fresh: Stack, tmp_path: Path) -> None:
    """On a machine that knows an address and nothing else."""
    with WebService(fresh.gateway) as service:
        known = {**os.environ, "SISGATE_URL": service.url, "HOME": str(tmp_path)}

        def script(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, str(EXAMPLES / "script.py"), *arguments], check=False, env=known,
                cwd=tmp_path, capture_output=True, text=True, timeout=120,
            )  # fmt: skip

        first, again = (script(NAME, "orgs").stdout.splitlines() for _ in range(2))
        assert first[0].startswith("done: ")
        assert first[1].startswith("insert ")
        assert again == ["done: 0 new, 0 changed"]
        wrong = script(NAME, "pets")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("unknown_resource: ")


def test_the_celery_app_enqueues_by_name(fresh: Stack) -> None:
    """It prints the id of the job, which runs in its name."""
    job_id = run(fresh, "celery_only_app.py").strip()

    def exists() -> bool:
        try:
            fresh.gateway.jobs.status(job_id)
        except UnknownJob:
            return False
        return True

    wait_until(exists, "the job of the task")
    status = fresh.gateway.jobs.wait(job_id, PATIENCE_SECONDS)
    assert (status.state, status.app, status.priority.word) == ("done", "gradebook", "high")


def test_the_management_command_of_django_syncs(fresh: Stack) -> None:
    """It waits for the datasets, and ends with 1 and one line where it cannot."""
    command = ("django_project/manage.py", "sync_roster", NAME)
    said = run(fresh, *command, "orgs", "students", "--wait", str(PATIENCE_SECONDS))
    assert [line.partition(":")[0] for line in said.splitlines()] == ["orgs", "students"]
    assert "students: 0 new" not in said
    assert run(fresh, *command, "pets", code=1).startswith("CommandError: unknown_resource: ")
