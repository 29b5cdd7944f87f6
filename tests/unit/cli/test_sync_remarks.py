"""What `sync --wait` says below its table."""

from dataclasses import replace
from datetime import UTC, datetime

from sisgate.cli.following import remarks
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState
from sisgate.gateway import JobStatus

ENDED = JobStatus(
    id="1", kind="sync", state=JobState.FAILED, app="a", provider="p", resource="orgs",
    priority=Priority.NORMAL, mode="full", accepted_at=datetime.now(UTC), started_at=None,
    ended_at=None, expires_at=None, complete=None, note=None, error=None,
    dead=False, retried_as=None, rows_seen=0,
    inserted=0, updated=0, deleted=0, calls_made=0, throttled=0, calls={},
)  # fmt: skip


def test_a_reason_that_several_datasets_share_is_said_once() -> None:
    """A wrong secret fails all eight datasets of a roster in the same way."""
    refused = {"code": "token_refused", "message": "p refused key 1."}
    jobs = [
        replace(ENDED, error=refused),
        replace(ENDED, resource="terms", state=JobState.DONE, note="2 rows were skipped."),
        replace(ENDED, resource="students", error=refused),
    ]
    assert remarks(jobs) == ["orgs, students: p refused key 1.", "terms: 2 rows were skipped."]
