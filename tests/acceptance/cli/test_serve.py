"""The HTTP service as a program: part of `sisgate up`, and `sisgate serve` by itself."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

from sisgate.credentials.master import make_master_key
from sisgate.sandbox import SandboxProcess
from testbed.command_line import typed
from testbed.stack import PATIENCE_SECONDS
from tests.acceptance.cli.command import Command
from tests.acceptance.cli.conftest import add_key

STOP_SECONDS = 12.0
"""More than a stop takes, less than it would take if it waited for those who wait."""


def test_a_sync_over_http_is_done_by_the_stack(command: Command, sandbox: SandboxProcess) -> None:
    """The port stands in what `up` says; the answer comes when the job has ended."""
    command.up("--no-flower", "--web")
    url = command.ready["api"]
    assert is_live(url.removesuffix("/v1")), "`up` says that it is up, and it does not answer"
    add_key(command, sandbox, "skyward")
    order = {"provider": "skyward", "resource": "orgs"}
    answer = requests.post(f"{url}/syncs", json=order, headers={"Prefer": "wait=60"}, timeout=90)
    assert (answer.status_code, answer.json()["state"]) == (200, "done")
    request = {"provider": "skyward", "method": "GET", "path": "/ims/oneroster/v1p1/orgs"}
    answer = requests.post(
        f"{url}/requests", json=request, headers={"Prefer": "wait=60"}, timeout=90
    )
    assert answer.json()["answer"]["status"] in {200, 404}
    ready = requests.get(f"{url.removesuffix('/v1')}/health/ready", timeout=10).json()
    assert ready["status"] == "ready"
    laptop = {**command.environment, "SISGATE_URL": url.removesuffix("/v1")}
    words = ("sync", "skyward", "orgs", "terms", "--wait", "--timeout", "60")
    followed = typed(words, folder=command.folder.parent, environment=laptop)
    assert (followed.returncode, followed.stdout.count("done")) == (0, 2)
    assert "skyward: all ended (2 of 2 jobs" in followed.stderr
    assert command.down() == 0
    command.wait_until_gone()


def test_a_stop_answers_those_who_wait(command: Command) -> None:
    """SIGTERM while a request and a stream wait: both end, and so does the process, with 0."""
    with serving(command) as (process, url), ThreadPoolExecutor(1) as threads:
        order = {"provider": "skyward", "resource": "orgs"}
        job = requests.post(f"{url}/v1/syncs", json=order, timeout=30).json()["id"]
        with requests.get(f"{url}/v1/jobs/{job}/events", stream=True, timeout=60) as stream:
            lines = stream.iter_lines(decode_unicode=True)
            assert next(line for line in lines if line.startswith("event")) == "event: status"
            waits = {"Prefer": "wait=60"}
            poll = threads.submit(
                requests.get, f"{url}/v1/jobs/{job}", headers=waits, timeout=PATIENCE_SECONDS
            )
            # Answered after the one that waits has arrived.
            requests.get(f"{url}/v1/jobs/{job}", headers={"Prefer": "wait=1"}, timeout=30)
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_SECONDS) == 0
            assert poll.result().json()["state"] == "accepted"
            assert not [line for line in lines if line.startswith("event")]


@contextmanager
def serving(command: Command) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `sisgate serve` on a ledger without a Redis; give the process and its URL."""
    command("db", "upgrade")
    make_master_key(command.folder / "master.key")
    words = [sys.executable, "-m", "sisgate.cli", "--data-dir", str(command.folder)]
    with subprocess.Popen(
        [*words, "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE, text=True, env=command.environment, cwd=command.folder.parent,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


def test_without_tokens_other_machines_are_not_served(command: Command) -> None:
    """It says what to do."""
    command("db", "upgrade")
    refused = command("serve", "--host", "0.0.0.0", code=2)
    assert 'access = "tokens"' in refused.stderr


def is_live(url: str) -> bool:
    """Whether the service answers."""
    try:
        return requests.get(f"{url}/health/live", timeout=5).ok
    except requests.ConnectionError:
        return False
