"""What every call passes, accepted, claimed and answered, is the same on both databases."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import event, func, select, text, update

from sisgate.domain.priorities import Priority
from sisgate.domain.states import CallState, JobKind, JobState
from sisgate.errors import IdempotencyConflict
from sisgate.ledger import acceptance, call_statements, calls, redelivery
from sisgate.ledger.acceptance import Accepted, NewJob
from sisgate.ledger.calls import Claim
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Attempt, Base, Call, Job, ListingRow, Response
from testbed.statement_costs import costs_of
from tests.contract.ledger.rows import LEASE, NOW, at_once, new_job, queued

T = TypeVar("T", bound=Base)
LATER = NOW + timedelta(seconds=3)
SEALED = b"\x00sealed\xff"
STATEMENTS = {"sqlite": (2, 3, 5), "postgresql": (1, 1, 2)}
"""Of accepting, claiming and answering, without the audit log's insert."""


def request(**words: Any) -> NewJob:
    """Return a request as an app asks for it."""
    plain = {"kind": JobKind.REQUEST, "resource": None, "options": {"method": "GET"},
             "sealed_request": SEALED, "request_id": "r-1"}  # fmt: skip
    return new_job(**{**plain, **words})


def accept(database: Database, new: NewJob) -> Accepted:
    """Accept in a transaction of its own."""
    with database.write() as session:
        return acceptance.accept_to_publish(session, new, NOW)


def claimed(database: Database, new: NewJob | None = None, permit: str | None = "p-1") -> Claim:
    """Return the claim of a new request."""
    call_id = accept(database, new or request()).call_id
    assert call_id is not None
    with database.write() as session:
        claim = calls.claim(session, call_id, LATER, LEASE, permit)
    assert claim is not None
    return claim


def answer(
    database: Database, claim: Claim, *, body: bytes = b"{}", error: dict[str, Any] | None = None
) -> bool:
    """End a request with its answer, as a worker does; False where the claim is lost."""
    state = CallState.FAILED if error else CallState.DONE
    call = {
        "id": claim.call.id, "attempt": claim.call.attempt, "state": state.value,
        "endpoint": "https://a.test", "status": 200, "body_bytes": len(body), "elapsed_ms": 12,
        "error": error,
    }  # fmt: skip
    response = {
        "job_id": claim.job.id, "status": 200, "headers": {"etag": "ü"}, "sealed_body": body,
        "truncated": False, "asked": "mark", "stored_at": LATER, "delete_after": LATER + LEASE,
    }  # fmt: skip
    end = JobState.FAILED if error else JobState.DONE
    job = {"state": end.value, "error": error, "sent": 2}
    with database.write() as session:
        assert call_statements.lock_job(session, claim.job.id) == JobState.RUNNING
        return call_statements.end_answered(session, call, job, response, LATER)


def row(database: Database, entity: type[T], *key: Any) -> T:
    """Return a row."""
    with database.read() as session:
        return session.get_one(entity, key if len(key) > 1 else key[0])


def count(database: Database, entity: type[Base]) -> int:
    """Return how many rows a table has."""
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(entity)) or 0


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Note the statements that are run meanwhile, without the beginnings of transactions."""
    seen: list[str] = []

    def note(_: Any, __: Any, text: str, *___: Any) -> None:
        if not text.startswith("BEGIN"):
            seen.append(text)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def test_a_request_is_accepted_with_its_call(database: Database) -> None:
    """All columns are as they were given, and the call is queued."""
    new = request(idempotency_key="k", expires_at=LATER, priority=Priority.HIGH)
    accepted = accept(database, new)
    assert (accepted.job_id, accepted.is_new) == (new.id, True)
    job, call = row(database, Job, new.id), row(database, Call, accepted.call_id)
    assert (job.kind, job.state, job.app, job.provider) == ("request", "running", "app", "lincoln")
    assert (job.options, job.sealed_request) == ({"method": "GET"}, SEALED)
    assert (job.accepted_at, job.started_at, job.published_at, job.expires_at) == (
        NOW, NOW, NOW, LATER,
    )  # fmt: skip
    assert (job.idempotency_key, job.request_id, job.fingerprint) == ("k", "r-1", new.fingerprint)
    assert (job.dead, job.calls_made, job.rows_seen, job.error) == (False, 0, 0, None)
    assert (call.job_id, call.provider, call.priority) == (new.id, "lincoln", int(Priority.HIGH))
    assert (call.purpose, call.state, call.target) == ("request", "queued", {"method": "GET"})
    assert (call.attempt, call.tries, call.lost_workers, call.is_retry) == (0, 0, 0, False)
    assert (call.planned_at, call.published_at, call.not_before) == (NOW, NOW, None)


def test_a_sync_is_accepted_without_a_call(database: Database) -> None:
    """Its calls are planned by a worker."""
    new = new_job(options={"mode": "full"})
    assert accept(database, new) == Accepted(new.id, True)
    assert row(database, Job, new.id).state == "accepted"
    assert count(database, Call) == 0


@pytest.mark.parametrize("kind", [request, new_job])
def test_what_is_asked_again_gets_the_earlier_job_and_no_second_call(
    database: Database, kind: Any
) -> None:
    """By the key or by the id; with other arguments it is refused."""
    first = kind(idempotency_key="k")
    accept(database, first)
    made = count(database, Call)
    again = kind(idempotency_key="k")
    assert accept(database, again) == Accepted(first.id, False)
    assert accept(database, kind(id=first.id, idempotency_key="k")) == Accepted(first.id, False)
    with pytest.raises(IdempotencyConflict):
        accept(database, kind(idempotency_key="k", priority=Priority.LOW))
    assert (count(database, Job), count(database, Call)) == (1, made)


def test_of_many_that_ask_the_same_at_once_one_is_new(database: Database) -> None:
    """Eight threads with one key: one job, one call."""
    found = at_once(*[lambda: accept(database, request(idempotency_key="k"))] * 8)
    assert [each for each in found if isinstance(each, Exception)] == []
    assert sum(each.is_new for each in found) == 1
    assert len({each.job_id for each in found}) == 1
    assert (count(database, Job), count(database, Call)) == (1, 1)


def test_a_claim_holds_what_the_rows_hold(database: Database) -> None:
    """And its attempt is in the ledger, with the permit that it was begun with."""
    new = request(expires_at=NOW + LEASE)
    claim = claimed(database, new)
    call, job = row(database, Call, claim.call.id), row(database, Job, new.id)
    for name in claim.call.__slots__:
        assert getattr(claim.call, name) == getattr(call, name), name
    for name in claim.job.__slots__:
        assert getattr(claim.job, name) == getattr(job, name), name
    assert claim.listing is None
    assert (call.state, call.attempt, call.started_at) == ("running", 1, LATER)
    assert call.lease_until == LATER + LEASE
    attempt = row(database, Attempt, call.id, 1)
    assert (attempt.permit, attempt.provider, attempt.started_at) == ("p-1", "lincoln", LATER)
    assert (attempt.lease_until, attempt.ended_at, attempt.status) == (LATER + LEASE, None, None)


def test_an_answer_ends_call_attempt_and_job(database: Database) -> None:
    """And the response is kept as it came."""
    claim = claimed(database)
    assert answer(database, claim, body=SEALED)
    call, job = row(database, Call, claim.call.id), row(database, Job, claim.job.id)
    assert (call.state, call.lease_until, call.ended_at) == ("done", None, LATER)
    assert (call.endpoint, call.status, call.body_bytes) == ("https://a.test", 200, len(SEALED))
    assert (call.elapsed_ms, call.error) == (12, None)
    assert (job.state, job.ended_at, job.error, job.dead) == ("done", LATER, None, False)
    assert job.calls_made == 2
    attempt = row(database, Attempt, claim.call.id, 1)
    assert (attempt.ended_at, attempt.status) == (LATER, 200)
    kept = row(database, Response, claim.job.id)
    assert (kept.status, kept.headers, kept.sealed_body) == (200, {"etag": "ü"}, SEALED)
    assert (kept.truncated, kept.asked, kept.stored_at) == (False, "mark", LATER)
    assert kept.delete_after == LATER + LEASE


def test_a_refusal_ends_the_job_with_its_error(database: Database) -> None:
    """The answer is kept all the same."""
    claim = claimed(database)
    error = {"code": "provider_refused", "message": "no such “user”"}
    assert answer(database, claim, error=error)
    assert row(database, Call, claim.call.id).error == error
    job = row(database, Job, claim.job.id)
    assert (job.state, job.error) == ("failed", error)
    assert count(database, Response) == 1


def test_an_answer_after_the_claim_was_lost_writes_nothing(database: Database) -> None:
    """Neither call nor attempt nor job nor response: the fence is in the one statement."""
    late = claimed(database)
    over = LATER + 2 * LEASE
    with database.write() as session:
        assert redelivery.recover_lost(session, over) == []
        redelivery.due(session, over)
    with database.write() as session:
        second = calls.claim(session, late.call.id, over, LEASE)
    assert second is not None
    assert not answer(database, late)
    assert row(database, Call, late.call.id).state == "running"
    assert row(database, Attempt, late.call.id, 1).status is None
    job = row(database, Job, late.job.id)
    assert (job.state, job.calls_made) == ("running", 1)
    assert count(database, Response) == 0
    assert answer(database, second)


def test_a_second_answer_replaces_the_response(database: Database) -> None:
    """A job that is tried again keeps the newest."""
    claim = claimed(database)
    with database.write() as session:
        session.add(
            Response(job_id=claim.job.id, status=500, headers={}, sealed_body=b"old",
                     delete_after=NOW)
        )  # fmt: skip
    assert answer(database, claim, body=b"new")
    assert row(database, Response, claim.job.id).sealed_body == b"new"


def test_each_step_takes_few_statements(database: Database) -> None:
    """The price of a call: what is above must be worth it, and said in the docs."""
    accepting, claiming, answering = STATEMENTS[database.engine.dialect.name]
    with statements(database) as seen:
        call_id = accept(database, request()).call_id
    assert call_id is not None
    assert len(seen) == accepting, seen
    with statements(database) as seen, database.write() as session:
        claim = calls.claim(session, call_id, LATER, LEASE, "p-1")
    assert claim is not None
    assert len(seen) == claiming, seen
    with statements(database) as seen:
        assert answer(database, claim)
    assert len(seen) == answering, seen


def test_a_page_is_claimed_with_its_listing(database: Database) -> None:
    """What the worker reads by is in the claim: the plan, and the length so far."""
    job_id, (call_id,) = queued(database)
    with database.write() as session:
        listing = ListingRow(job_id=job_id, name="students", plan={"path": "/ü"}, total=7)
        session.add(listing)
        session.flush()
        session.get_one(Call, call_id).listing_id = listing.id
    with database.write() as session:
        claim = calls.claim(session, call_id, LATER, LEASE)
    assert claim is not None
    assert claim.listing is not None
    assert (claim.listing.plan, claim.listing.total) == ({"path": "/ü"}, 7)


def test_ids_are_texts_of_any_kind(database: Database) -> None:
    """A Celery app may have chosen the id of its task, which becomes the job's."""
    odd = "it's %s ? :p " + str(uuid.uuid4())[:20]
    assert accept(database, request(id=odd)).job_id == odd
    assert row(database, Job, odd).id == odd


def test_no_step_goes_through_the_calls_that_wait(database: Database) -> None:
    """Whatever PostgreSQL thinks: by its statistics no call waits, and then many do."""
    waiting = 2_000
    queued(database, 500)
    with database.write() as session:
        session.execute(update(Call).values(state=CallState.DONE.value))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    queued(database, waiting)
    new = request()
    with costs_of(database) as costs:
        claim = claimed(database, new)
        assert answer(database, claim)
    cost, statement = costs.dearest
    assert cost < waiting / 4, statement
