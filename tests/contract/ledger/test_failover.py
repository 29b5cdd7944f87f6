"""A call that fails over keeps its claim, and each of its requests is counted."""

from datetime import timedelta

from sqlalchemy import select

from sisgate.domain.retries import RetryPolicy
from sisgate.domain.states import CallState
from sisgate.ledger import calls, redelivery, retries
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Attempt
from tests.contract.ledger.rows import LEASE, NOW, queued

POLICY = RetryPolicy()
SECOND = timedelta(seconds=1)


def test_both_requests_of_a_call_are_in_the_ledger(database: Database) -> None:
    """Each with its permit, the first one ended; the call goes on under a new lease."""
    _, (call_id,) = queued(database)
    with database.write() as session:
        claim = calls.claim(session, call_id, NOW, LEASE, "first")
    assert claim is not None
    again = NOW + LEASE - SECOND
    with database.write() as session:
        assert retries.begin_again(
            session, claim.call, again, LEASE, permit="second", policy=POLICY, status=500
        )
    with database.write() as session:
        assert redelivery.recover_lost(session, NOW + LEASE + SECOND) == []
        assert calls.finish(session, claim.call, CallState.DONE, again + SECOND, status=200)
    with database.read() as session:
        query = select(Attempt).where(Attempt.call_id == call_id).order_by(Attempt.number)
        first, second = session.scalars(query)
    assert (first.permit, first.ended_at, first.status) == ("first", again, 500)
    assert (second.permit, second.ended_at, second.status) == ("second", again + SECOND, 200)


def test_who_lost_the_claim_does_not_begin_again(database: Database) -> None:
    """Its lease was over; the call is another worker's."""
    _, (call_id,) = queued(database)
    with database.write() as session:
        late = calls.claim(session, call_id, NOW, LEASE)
    assert late is not None
    after = NOW + LEASE + SECOND
    with database.write() as session:
        redelivery.recover_lost(session, after)
    with database.write() as session:
        assert not retries.begin_again(
            session, late.call, after, LEASE, permit="second", policy=POLICY
        )
