"""The log of started processes: each line is JSON, and a job's way can be followed by its ids."""

import json
from typing import Any

from sisgate import tracing
from testbed.stack import PATIENCE_SECONDS, Stack, wait_until

NAME = "slow_powerschool"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def lines(stack: Stack) -> list[dict[str, Any]]:
    """What workers and beat have written; fails for a line that is not JSON."""
    return [json.loads(line) for line in stack.log_path.read_text("utf-8").splitlines()]


def test_a_job_can_be_followed_by_its_ids_through_every_step(sqlite_stack: Stack) -> None:
    """A request that fails once: called twice, ended, in the order of the steps."""
    sqlite_stack.fresh(NAME, fail_next=[{"status": 503, "path": "school"}])
    header = f"00-{TRACE}-b7ad6b7169203331-01".encode()
    with tracing.in_trace_of([(b"traceparent", header)]):
        job = sqlite_stack.gateway.enqueue_request(
            NAME, "GET", "/ws/v1/district/school", query={"pagesize": "1"}
        )
    assert sqlite_stack.gateway.jobs.wait(job.id, PATIENCE_SECONDS).state == "done"

    def told() -> list[dict[str, Any]]:
        return [line for line in lines(sqlite_stack) if line.get("job") == job.id]

    wait_until(lambda: told()[-1:] and told()[-1]["event"] == "job_ended", "the last line")
    wanted = {"call_started", "call_ended", "job_ended"}
    steps = [line for line in told() if line["event"] in wanted]
    assert [line["event"] for line in steps] == [
        "call_started", "call_ended", "call_started", "call_ended", "job_ended",
    ]  # fmt: skip
    assert [line.get("result") for line in steps if "result" in line] == ["waits", "done"]
    assert [line["attempt"] for line in steps] == [1, 1, 2, 2, 2]
    assert len({line["call"] for line in steps}) == 1
    for line in told():
        assert (line["provider"], line["trace"], line["process"]) == (NAME, TRACE, "worker")
    assert "pagesize" not in json.dumps(told())


def test_a_sync_is_planned_called_and_ended(sqlite_stack: Stack) -> None:
    """With the number of its calls that were published, and each call's own id."""
    sqlite_stack.fresh(NAME)
    job = sqlite_stack.sync(NAME, "orgs")

    def told() -> list[dict[str, Any]]:
        return [line for line in lines(sqlite_stack) if line.get("job") == job.id]

    wait_until(lambda: any(line["event"] == "job_ended" for line in told()), "its end")
    events = [line["event"] for line in told()]
    assert events[0] == "job_planned"
    assert events.count("call_started") == events.count("call_ended") == job.calls_made
    assert {line["level"] for line in told()} == {"info"}
