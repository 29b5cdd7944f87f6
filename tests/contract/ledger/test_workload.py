"""What forecasts and metrics stand on: the work ahead, what syncs usually need, and counts."""

from datetime import timedelta

import pytest

from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind, JobState
from sisgate.ledger import job_calls, workload
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Attempt, Call, Job
from tests.contract.ledger.rows import NOW, accepted, planned, queued

MINUTE = timedelta(minutes=1)


def synced(database: Database, calls_made: int, minutes: int, *, complete: bool = True) -> None:
    """A sync of the students that ended so many minutes later."""
    with database.write() as session:
        job = accepted(session)
        job.state, job.complete = JobState.DONE.value, complete
        job.calls_made, job.ended_at = calls_made, NOW + minutes * MINUTE


def test_a_sync_usually_needs_what_the_last_complete_one_did(database: Database) -> None:
    """Of the same dataset, and whatever came of others."""
    with database.read() as session:
        assert workload.usual_calls(session, "lincoln", "students") is None
    synced(database, 40, 1)
    synced(database, 44, 2)
    synced(database, 7, 3, complete=False)
    with database.read() as session:
        assert workload.usual_calls(session, "lincoln", "students") == 44
        assert workload.usual_calls(session, "lincoln", "orgs") is None


def test_what_is_ahead_is_told_apart_by_priority(database: Database) -> None:
    """Planned calls count, and without any the usual number; less urgent work is not ahead."""
    synced(database, 40, 1)
    planned(database, 3, priority=Priority.HIGH)
    own, _ = planned(database, 5)
    planned(database, 9, priority=Priority.LOW)
    planned(database, 2, provider="madison")
    with database.write() as session:
        accepted(session)
        accepted(session, kind=JobKind.REQUEST, resource=None, priority=Priority.HIGH)
    with database.read() as session:
        ahead = workload.backlog(session, "lincoln", Priority.NORMAL, without=own)
        assert (sorted(ahead.higher), sorted(ahead.equal)) == ([1, 3], [40])
        assert workload.remaining(session, session.get_one(Job, own)) == 5


def test_the_latency_is_that_of_the_last_calls_that_ended(database: Database) -> None:
    """One that is under way has none yet."""
    with database.read() as session:
        assert workload.mean_latency(session, "lincoln") == 0.0
    _, (call_id,) = planned(database)
    with database.write() as session:
        for number, seconds in enumerate((1.0, 3.0, None), start=1):
            ended = None if seconds is None else NOW + timedelta(seconds=seconds)
            session.add(
                Attempt(
                    call_id=call_id, number=number, provider="lincoln", started_at=NOW,
                    lease_until=NOW + MINUTE, ended_at=ended,
                )
            )  # fmt: skip
    with database.read() as session:
        assert workload.mean_latency(session, "lincoln") == pytest.approx(2.0)


def test_calls_are_counted_by_job_and_state(database: Database) -> None:
    """A job without calls is left out; what waits, and since when the first runs, is known."""
    first, ids = queued(database, 2)
    second, _ = planned(database)
    with database.write() as session:
        begun = session.get_one(Call, ids[0])
        begun.state, begun.started_at = "running", NOW + MINUTE
        bare = accepted(session).id
    with database.read() as session:
        assert job_calls.counts_by_state(session, [first, second, bare]) == {
            first: {"running": 1, "queued": 1}, second: {"planned": 1},
        }  # fmt: skip
        assert job_calls.first_start(session, first) == NOW + MINUTE
        assert job_calls.first_start(session, second) is None
        assert [tuple(row) for row in job_calls.waiting(session, second)] == [(None, None)]
