"""Accepting a job once, and ending it once."""

import threading
import uuid
from datetime import timedelta

import pytest

from sisgate.clock import SystemClock, poll_until
from sisgate.domain.states import JobKind, JobState
from sisgate.errors import IdempotencyConflict, InvalidState, UnknownJob
from sisgate.ledger import acceptance, call_queue, calls, jobs
from sisgate.ledger.acceptance import NewJob
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Purpose
from sisgate.ledger.database import Database
from sisgate.ledger.job_search import unplanned
from sisgate.ledger.schema import Call
from tests.contract.ledger.rows import NOW, accepted, at_once, new_job, queued, somebody_waits


def accept(database: Database, new: NewJob) -> tuple[str, bool]:
    """Accept in a transaction of its own; return the job's id and whether it is new."""
    with database.write() as session:
        job, is_new = acceptance.accept(session, new, NOW)
        session.flush()
        return job.id, is_new


def test_the_same_key_returns_the_first_job(database: Database) -> None:
    """Of one app; another app's key is another key."""
    first, is_new = accept(database, new_job(idempotency_key="k"))
    assert is_new
    assert accept(database, new_job(idempotency_key="k")) == (first, False)
    assert accept(database, new_job(idempotency_key="k", app="other"))[1]


def test_the_same_key_with_other_arguments_is_an_error(database: Database) -> None:
    """The error names the job that has the key."""
    first, _ = accept(database, new_job(idempotency_key="k"))
    with pytest.raises(IdempotencyConflict) as conflict:
        accept(database, new_job(idempotency_key="k", resource="orgs"))
    assert conflict.value.detail["job"] == first


def test_the_id_of_one_job_with_the_key_of_another_is_an_error(database: Database) -> None:
    """As a message of an app may have them that gives its tasks ids of its own."""
    accept(database, new_job(idempotency_key="k"))
    second, _ = accept(database, new_job())
    with pytest.raises(IdempotencyConflict, match="that of another one"):
        accept(database, new_job(id=second, idempotency_key="k"))


@pytest.mark.parametrize("by", ["key", "id"])
def test_one_key_from_many_threads_is_one_job(database: Database, by: str) -> None:
    """Whoever comes first makes it; all get it."""
    words = {"idempotency_key": "k"} if by == "key" else {"id": str(uuid.uuid4())}
    results = at_once(*[lambda: accept(database, new_job(**words))] * 8)
    assert [r for r in results if isinstance(r, Exception)] == []
    assert len({job_id for job_id, _ in results}) == 1
    assert sum(is_new for _, is_new in results) == 1


def test_a_request_that_is_begun_just_as_its_time_ends_is_unknown(database: Database) -> None:
    """Also where its claim was not committed yet when the end began: it is on its way."""
    with database.write() as session:
        job = accepted(session, kind=JobKind.REQUEST, options={"method": "POST"})
        call_queue.plan(session, job, [NewCall(Purpose.REQUEST, target=job.options)], NOW)
        (call_id,) = call_queue.queue_next(session, job.id, 1, NOW)

    def end() -> None:
        with database.write() as session:
            row = jobs.lock(session, job.id)
            assert row is not None
            jobs.end_unanswered(session, row, NOW, {"code": "job_expired"})

    ending = threading.Thread(target=end)
    with database.write() as session:
        assert calls.claim(session, call_id, NOW, timedelta(seconds=9)) is not None
        ending.start()
        if not database.is_sqlite:  # there the end does not begin before the claim is committed
            assert poll_until(
                lambda: somebody_waits(database), clock=SystemClock(), timeout_seconds=30
            )
    ending.join(30)
    with database.read() as session:
        assert jobs.get(session, job.id).state == JobState.UNKNOWN


def test_cancelling_withdraws_what_was_not_begun_and_only_once(database: Database) -> None:
    """A call under way goes on; a second cancel says that there is nothing to cancel."""
    job_id, (first, second) = queued(database, 2)
    with database.write() as session:
        assert calls.claim(session, first, NOW, timedelta(seconds=9)) is not None
    with database.write() as session:
        jobs.cancel(session, job_id, NOW)
    with database.read() as session:
        assert session.get_one(Call, first).state == "running"
        assert session.get_one(Call, second).state == "cancelled"
    with pytest.raises(InvalidState), database.write() as session:
        jobs.cancel(session, job_id, NOW)
    with pytest.raises(UnknownJob), database.write() as session:
        jobs.cancel(session, "nobody", NOW)


def test_only_live_jobs_expire(database: Database) -> None:
    """Those whose deadline has passed, with a reason; the others stay."""
    with database.write() as session:
        late = accepted(session, expires_at=NOW + timedelta(seconds=5)).id
        later = accepted(session, expires_at=NOW + timedelta(seconds=50)).id
        done = accepted(session, expires_at=NOW + timedelta(seconds=5))
        jobs.end(session, done, JobState.DONE, NOW)
        never = accepted(session).id
    with database.write() as session:
        assert jobs.expire_overdue(session, NOW + timedelta(seconds=5)) == [late]
    with database.read() as session:
        assert jobs.get(session, late).state == "expired"
        assert (jobs.get(session, late).error or {})["code"] == "job_expired"
        assert jobs.get(session, later).state == jobs.get(session, never).state == "accepted"


def test_a_plan_message_that_is_missing_is_due(database: Database) -> None:
    """Never published: after a moment. Published and not acted upon: after the overdue time."""
    moment, overdue = timedelta(seconds=3), timedelta(seconds=30)
    with database.write() as session:
        unpublished = accepted(session).id
        published = accepted(session).id
        jobs.mark_published(session, [published], NOW)

    def due(seconds: float) -> set[str]:
        with database.read() as session:
            found = unplanned(session, NOW + timedelta(seconds=seconds), moment, overdue)
            return {job.id for job in found}

    assert due(1) == set()
    assert due(4) == {unpublished}
    assert due(31) == {unpublished, published}


def test_a_shared_request_whose_id_was_used_before_is_the_earlier_one(database: Database) -> None:
    """There is no live one to share its call with, and there never will be."""
    new = new_job(kind=JobKind.REQUEST, resource=None, shared_as="mark")
    with database.write() as session:
        first = acceptance.accept_to_publish(session, new, NOW)
        jobs.end(session, jobs.get(session, new.id), JobState.DONE, NOW)
    with database.write() as session:
        again = acceptance.accept_to_publish(session, new, NOW)
    assert (first.job_id, again.job_id, again.is_new) == (new.id, new.id, False)
