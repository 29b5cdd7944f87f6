"""The quota under concurrent arrivals, bad answers on purpose, and two processes of one seed."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from sisgate.clock import SystemClock, poll_until
from sisgate.sandbox import DistrictSpec, SandboxProcess, SandboxSpec


def statuses_of_burst(client: Any, calls: int, workers: int = 8) -> list[int]:
    """Send calls from several connections at once."""

    def some(_: int) -> list[int]:
        held = client("oneroster")
        return [held.roster("orgs").status for _ in range(calls // workers)]

    with ThreadPoolExecutor(workers) as pool:
        return [status for part in pool.map(some, range(workers)) for status in part]


def test_quota_is_exact_under_concurrent_arrivals(client: Any, sandbox: SandboxProcess) -> None:
    """Of 80 calls at once exactly the quota is served, and each other one is a violation."""
    sandbox.knobs("oneroster", quota="30/h")
    statuses = statuses_of_burst(client, 80)
    stats = sandbox.stats("oneroster", arrivals=True)
    assert (statuses.count(200), statuses.count(429)) == (30, 50)
    assert (stats["violations"], stats["quota_left"], stats["in_window"]) == (50, 0, 30)
    assert len(stats["arrival_times"]) == stats["arrivals"] == 80


def test_refusal_tells_when_to_come_back(client: Any, sandbox: SandboxProcess) -> None:
    """After Retry-After seconds the call is served; token requests cost nothing."""
    sandbox.knobs("oneroster", quota="2/s")
    held = client("oneroster")
    answers = [held.roster("orgs") for _ in range(40)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert poll_until(
        lambda: held.roster("orgs").status == 200, clock=SystemClock(), timeout_seconds=30
    )
    assert sandbox.stats("oneroster")["token_calls"] == 1


def test_every_answer_has_its_own_request_id(client: Any) -> None:
    """So that a call can be found again."""
    held = client("skyward")
    ids = {held.roster("orgs").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


@pytest.mark.parametrize("status", [500, 502, 503])
def test_next_call_fails_by_status(client: Any, sandbox: SandboxProcess, status: int) -> None:
    """Once, and then the server is well again."""
    held = client("infinite_campus")
    sandbox.knobs("infinite_campus", fail_next=[status])
    answers = [held.roster("orgs"), held.roster("orgs")]
    assert [answer.status for answer in answers] == [status, 200]
    assert ("retry-after" in answers[0].headers) == (status == 503)


@pytest.mark.parametrize(("kind", "error"), [
    ("reset", ConnectionResetError), ("truncate", IncompleteRead),
])  # fmt: skip
def test_connection_breaks(
    client: Any, sandbox: SandboxProcess, kind: str, error: type[HTTPException | OSError]
) -> None:
    """The client sees a reset or a body that ends too early, and may come again."""
    held = client("infinite_campus")
    sandbox.knobs("infinite_campus", fail_next=[kind])
    with pytest.raises(error):
        held.roster("students")
    assert held.roster("students").status == 200


def test_malformed_and_html_answers(client: Any, sandbox: SandboxProcess) -> None:
    """Half of a JSON text with status 200, then a proxy's page."""
    held = client("powerschool")
    sandbox.knobs("powerschool", fail_next=["malformed", {"kind": "html", "status": 502}])
    cut, page = held.get("/ws/v1/district"), held.get("/ws/v1/district")
    assert cut.status == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        _ = cut.json
    assert (page.status, page.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_slow_body_comes_whole(client: Any, sandbox: SandboxProcess) -> None:
    """A drip ends with the honest answer."""
    held = client("powerschool")
    honest = held.get("/ws/v1/district").body
    sandbox.knobs("powerschool", fail_next=[{"kind": "slow", "bytes_per_second": 2000}])
    assert held.get("/ws/v1/district").body == honest


def test_two_processes_of_one_seed_serve_the_same(client: Any, sandbox: SandboxProcess) -> None:
    """Rows and churn depend on the seed alone."""
    twin = DistrictSpec("powerschool", "powerschool", students=230, seed=7, quota=None)
    path = "/ws/v1/district/student?expansions=demographics,addresses,contact"
    here = client("powerschool")
    with SandboxProcess(SandboxSpec((twin,))) as other:
        there = type(here)(other.districts["powerschool"]).sign_in()
        for _ in range(2):
            assert here.get(path).body == there.get(path).body
            done = [
                each.churn("powerschool", insert=3, update=3, delete=3) for each in (sandbox, other)
            ]
            assert done[0] == done[1]
        there.connection.close()


def test_sandbox_ends_with_its_parent() -> None:
    """A sandbox whose starter was killed does not live on."""
    code = (
        "import os, signal\n"
        "from sisgate.sandbox import DistrictSpec, SandboxProcess, SandboxSpec\n"
        "spec = SandboxSpec((DistrictSpec('a', 'skyward', students=5),))\n"
        "print(SandboxProcess(spec).start().pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    pid = int(ended.stdout)

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # Whoever adopts orphans here may not reap them: a zombie has ended as well.
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0] == "Z"

    assert poll_until(gone, clock=SystemClock(), timeout_seconds=20)
