"""A call is claimed by one worker at a time, and only who holds the claim writes its outcome."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sisgate.domain.priorities import Priority
from sisgate.domain.retries import RetryPolicy
from sisgate.domain.states import CallState, JobKind, JobState
from sisgate.ledger import call_queue, calls, jobs, redelivery, retries
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Claim, Purpose
from sisgate.ledger.database import Database
from sisgate.ledger.redelivery import POISON_LIMIT, Address
from sisgate.ledger.schema import Attempt, Call, Job
from tests.contract.ledger.rows import LEASE, NOW, accepted, at_once, planned, queued

SECOND = timedelta(seconds=1)
GRACE = timedelta(seconds=10)


def claim(database: Database, call_id: int, at: timedelta = SECOND) -> Claim | None:
    """Claim in a transaction of its own."""
    with database.write() as session:
        return calls.claim(session, call_id, NOW + at, LEASE)


def state(database: Database, call_id: int) -> Call:
    """Return a call's row."""
    with database.read() as session:
        return session.get_one(Call, call_id)


def attempts(database: Database, call_id: int) -> int:
    """Return how often a call was really begun."""
    with database.read() as session:
        count = select(func.count()).select_from(Attempt).where(Attempt.call_id == call_id)
        return session.scalar(count) or 0


def due(session: Session, now: datetime) -> list[Address]:
    """Queue what is due, as the reconciler does."""
    return redelivery.due(session, now) + retries.due(session, now, lambda _: RetryPolicy())


def test_of_many_deliveries_one_gets_the_call(database: Database) -> None:
    """Eight workers, ten calls, each delivered to all: each call has one claim."""
    _, ids = queued(database, 10)
    for call_id in ids:
        results = at_once(*[lambda call_id=call_id: claim(database, call_id)] * 8)
        assert [r for r in results if isinstance(r, Exception)] == []
        assert sum(result is not None for result in results) == 1
        assert attempts(database, call_id) == 1


def test_what_is_not_queued_is_not_claimed(database: Database) -> None:
    """Planned, ended, or of a job that has ended: there is nothing to do."""
    _, (call_id,) = planned(database)
    assert claim(database, call_id) is None
    job_id, (call_id,) = queued(database)
    with database.write() as session:
        job = jobs.lock(session, job_id)
        assert job is not None
        job.state = JobState.CANCELLED.value
    assert claim(database, call_id) is None
    assert claim(database, 10**9) is None


def test_a_late_writer_leaves_no_trace(database: Database) -> None:
    """Its lease was over and another has the call: whatever it writes is refused."""
    _, (call_id,) = queued(database)
    late = claim(database, call_id)
    assert late is not None
    after = NOW + LEASE + 2 * SECOND
    with database.write() as session:
        assert redelivery.recover_lost(session, after) == []
        assert [c for c, *_ in redelivery.due(session, after)] == [call_id]
    with database.write() as session:
        second = calls.claim(session, call_id, after, LEASE)
    assert second is not None
    for write in (
        lambda s: calls.finish(s, late.call, CallState.DONE, after, status=200),
        lambda s: calls.put_back(s, late.call, after, not_before=after, failed=True),
        lambda s: calls.release(s, late.call, NOW, not_before=after),
    ):
        with database.write() as session:
            assert write(session) is False
            session.rollback()
    row = state(database, call_id)
    assert (row.state, row.status, row.tries) == ("running", None, 0)
    with database.write() as session:
        assert calls.finish(session, second.call, CallState.DONE, after, status=200)
    assert state(database, call_id).state == "done"


def test_a_call_that_loses_its_workers_becomes_poison(database: Database) -> None:
    """Lost workers spend no try, and after a few of them the call is handed to be failed."""
    _, (call_id,) = queued(database)
    now = NOW
    for lost in range(1, POISON_LIMIT + 1):
        with database.write() as session:
            assert calls.claim(session, call_id, now, LEASE) is not None
        now += LEASE + SECOND
        with database.write() as session:
            poison = redelivery.recover_lost(session, now)
            assert [c.id for c in poison] == ([call_id] if lost == POISON_LIMIT else [])
            redelivery.due(session, now)
    assert state(database, call_id).tries == 0
    with database.read() as session:
        # The provider may have seen each of them, and its quota counted them.
        assert session.scalars(select(Job.calls_made)).one() == POISON_LIMIT


def test_a_lease_that_runs_is_left_alone(database: Database) -> None:
    """Only what is over is taken away."""
    _, (call_id,) = queued(database)
    claim(database, call_id)
    with database.write() as session:
        assert redelivery.recover_lost(session, NOW + LEASE) == []
    assert state(database, call_id).state == "running"


def test_the_window_keeps_a_few_calls_outstanding(database: Database) -> None:
    """Queued and running ones count; the oldest planned ones follow."""
    job_id, ids = planned(database, 25)

    def more(window: int) -> list[int]:
        with database.write() as session:
            return call_queue.queue_next(session, job_id, window, NOW)

    assert more(10) == ids[:10]
    assert more(10) == []
    held = claim(database, ids[0])
    assert held is not None
    assert more(10) == []
    with database.write() as session:
        calls.finish(session, held.call, CallState.DONE, NOW)
    assert more(10) == [ids[10]]


def test_two_processes_fill_a_window_without_overfilling_it(database: Database) -> None:
    """Under the job's lock, as every writer takes it."""
    job_id, ids = planned(database, 30)

    def fill() -> list[int]:
        with database.write() as session:
            jobs.lock(session, job_id)
            return call_queue.queue_next(session, job_id, 10, NOW)

    results = at_once(*[fill] * 4)
    assert sorted(i for found in results for i in found) == ids[:10]


def test_a_call_put_back_waits_until_its_time(database: Database) -> None:
    """A failure spends a try, a throttle does not; neither is queued before its time."""
    job_id, (call_id,) = queued(database)
    later = NOW + timedelta(seconds=60)
    for failed, tries in ((False, 0), (True, 1)):
        held = claim(database, call_id)
        assert held is not None
        with database.write() as session:
            assert calls.put_back(session, held.call, NOW, not_before=later, failed=failed)
        with database.write() as session:
            assert call_queue.queue_next(session, job_id, 10, NOW) == []
            assert due(session, NOW + 59 * SECOND) == []
            assert due(session, later) == [(call_id, "lincoln", 6)]
        assert state(database, call_id).tries == tries


def test_a_released_call_was_never_begun(database: Database) -> None:
    """No permit: the provider saw nothing, so no attempt is kept against it."""
    _, (call_id,) = queued(database)
    held = claim(database, call_id)
    assert held is not None
    with database.write() as session:
        assert calls.release(session, held.call, NOW, not_before=NOW + SECOND)
    assert attempts(database, call_id) == 0
    row = state(database, call_id)
    assert (row.state, row.tries, row.lost_workers) == ("planned", 0, 0)


def test_due_calls_are_queued_by_one_of_two_reconcilers(database: Database) -> None:
    """Two beats at once publish each call once."""
    _, (call_id,) = queued(database)
    held = claim(database, call_id)
    assert held is not None
    with database.write() as session:
        calls.put_back(session, held.call, NOW, not_before=NOW, failed=False)

    def due() -> list[tuple[int, str, int]]:
        with database.write() as session:
            return redelivery.due(session, NOW + SECOND)

    found = at_once(*[due] * 4)
    assert sum(len(each) for each in found) == 1


def test_messages_that_must_be_gone_are_published_again(database: Database) -> None:
    """Queued longer than the grace while the queue is empty; once for each grace."""
    _, ids = queued(database, 3)
    with database.write() as session:
        assert redelivery.missing(session, [("lincoln", 6)], NOW + GRACE, GRACE) == []
        late = NOW + GRACE + SECOND
        found = redelivery.missing(session, [("lincoln", 6)], late, GRACE)
        assert [call_id for call_id, *_ in found] == ids
        assert redelivery.missing(session, [("lincoln", 6)], late, GRACE) == []
        assert redelivery.missing(session, [("other", 6)], late + GRACE * 2, GRACE) == []


def test_a_message_that_was_overtaken_is_published_again(database: Database) -> None:
    """A later one of the same queue has started, so the earlier one was lost on its way."""
    _, (lost,) = queued(database)
    job_id, _ = planned(database)
    later = NOW + timedelta(seconds=40)
    with database.write() as session:
        (newer,) = call_queue.queue_next(session, job_id, 1, later)
    with database.write() as session:
        assert redelivery.overtaken(session, later, timedelta(seconds=30)) == []
        calls.claim(session, newer, later + SECOND, LEASE)
    with database.write() as session:
        found = redelivery.overtaken(session, later + 2 * SECOND, timedelta(seconds=30))
        assert [call_id for call_id, *_ in found] == [lost]


def test_a_little_disorder_is_no_overtaking(database: Database) -> None:
    """Two that were published in the same moment may change places without being lost."""
    queued(database)
    job_id, _ = planned(database)
    later = NOW + SECOND
    with database.write() as session:
        (newer,) = call_queue.queue_next(session, job_id, 1, later)
        calls.claim(session, newer, later, LEASE)
    with database.write() as session:
        assert redelivery.overtaken(session, later + SECOND, timedelta(seconds=30)) == []


def test_a_call_that_went_back_to_its_queue_has_overtaken_nobody(database: Database) -> None:
    """It started before it was published anew, as each probe in an outage is."""
    queued(database)
    job_id, _ = planned(database)
    with database.write() as session:
        (probe,) = call_queue.queue_next(session, job_id, 1, NOW)
        calls.claim(session, probe, NOW, LEASE)
    later = NOW + timedelta(seconds=40)
    with database.write() as session:
        row = session.get_one(Call, probe)
        row.state, row.published_at = CallState.QUEUED.value, later
    with database.write() as session:
        assert redelivery.overtaken(session, later + SECOND, timedelta(seconds=30)) == []


def test_the_urgent_are_redelivered_first(database: Database) -> None:
    """After a wipe urgent work does not wait behind what was planned before it."""
    low, _ = planned(database, priority=Priority.LOW)
    urgent, _ = planned(database, priority=Priority.URGENT)
    with database.write() as session:
        for job_id in (low, urgent):
            call_queue.queue_next(session, job_id, 10, NOW)
        queues = redelivery.waiting_queues(session, NOW + 2 * GRACE, GRACE)
        found = redelivery.missing(session, queues, NOW + 2 * GRACE, GRACE)
    assert [priority for *_, priority in found] == sorted(p for *_, p in found)
    assert found[0][2] == Priority.URGENT


def test_only_starved_work_is_aged(database: Database) -> None:
    """Low work that is being served, however slowly, keeps its priority."""
    after = timedelta(minutes=15)
    job_id, _ = planned(database, count=2, priority=Priority.LOW)
    with database.write() as session:
        first, second = call_queue.queue_next(session, job_id, 2, NOW)
        calls.claim(session, first, NOW + after, LEASE)
    with database.write() as session:
        assert redelivery.age(session, NOW + after + SECOND, after) == []
        aged = redelivery.age(session, NOW + 3 * after, after)
    assert aged == [(second, "lincoln", int(Priority.NORMAL))]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_lost_worker_leaves_what_changes_something_unknown(
    database: Database, method: str
) -> None:
    """A POST may have been carried out: it is not made again, nor said to have failed."""
    with database.write() as session:
        job = accepted(session, kind=JobKind.REQUEST, resource=None)
        target: dict[str, Any] = {"method": method, "path": "/x", "query": {}, "json": None}
        call_queue.plan(session, job, [NewCall(Purpose.REQUEST, target=target)], NOW)
        (call_id,) = call_queue.queue_next(session, job.id, 1, NOW)
    assert claim(database, call_id) is not None
    with database.write() as session:
        found = redelivery.recover_lost(session, NOW + 2 * LEASE)
        assert [c.id for c in found] == ([call_id] if method == "POST" else [])
    assert state(database, call_id).state == ("unknown" if method == "POST" else "planned")


@pytest.mark.parametrize("by", ["put_back", "release", "recover_lost"])
def test_a_call_of_a_job_that_has_ended_does_not_wait(database: Database, by: str) -> None:
    """It was under way when its job was cancelled: it is cancelled, not published for ever."""
    job_id, (call_id,) = queued(database)
    held = claim(database, call_id)
    assert held is not None
    with database.write() as session:
        jobs.cancel(session, job_id, NOW)
    after = NOW + 2 * LEASE
    with database.write() as session:
        if by == "put_back":
            calls.put_back(session, held.call, NOW, not_before=NOW, failed=False, status=429)
        elif by == "release":
            calls.release(session, held.call, NOW, not_before=NOW)
        else:
            assert redelivery.recover_lost(session, after) == []
    with database.write() as session:
        assert redelivery.due(session, after) == []
    assert state(database, call_id).state == "cancelled"
