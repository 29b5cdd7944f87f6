"""How far jobs are, from their statuses."""

from datetime import UTC, datetime

from sisgate.cli.watch import PermitWait, Standing, remark_of, standing
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState
from sisgate.gateway import JobStatus


def status(state: JobState, steps: dict[str, int], rows: int = 0, calls: int = 0) -> JobStatus:
    """A sync in a state, with steps by state."""
    return JobStatus(
        id="1", kind="sync", state=state, app="a", provider="p", resource="orgs",
        priority=Priority.NORMAL, mode="full", accepted_at=datetime.now(UTC), started_at=None,
        ended_at=None, expires_at=None, complete=None, note=None, error=None,
        dead=False, retried_as=None, rows_seen=rows,
        inserted=0, updated=0, deleted=0, calls_made=calls, throttled=0, calls=steps,
    )  # fmt: skip


def test_a_job_without_steps_is_one_step_to_come() -> None:
    """So a bar never begins full."""
    found = standing([status(JobState.ACCEPTED, {})])
    assert (found.steps_ended, found.steps, found.is_final) == (0, 1, False)


def test_an_ended_job_counts_all_its_steps_as_ended() -> None:
    """A cancelled job's bar does not stand still for ever."""
    running = status(JobState.RUNNING, {"done": 3, "queued": 2}, rows=300, calls=4)
    cancelled = status(JobState.CANCELLED, {"done": 1, "cancelled": 4}, rows=100, calls=1)
    assert standing([running, cancelled]) == Standing(
        jobs=2, jobs_ended=1, steps=10, steps_ended=8, calls=5, rows=400
    )


def test_a_turn_has_no_time_while_more_urgent_work_may_come_first() -> None:
    """Only a quota that is used up says when it goes on."""
    now = datetime(2026, 9, 1, 8, tzinfo=UTC)
    assert remark_of(now, PermitWait(90.0, "window")).startswith("quota used up, continues at ")
    assert remark_of(now, PermitWait(90.0, "bucket")) == (
        "waits for its turn at the pace of the limit; more urgent work goes first"
    )
