"""The retry budget holds for the whole fleet, and what exceeds it waits without losing a try."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from sisgate.domain.priorities import Priority
from sisgate.domain.retries import RetryPolicy
from sisgate.domain.states import CallState
from sisgate.ledger import call_queue, calls, retries
from sisgate.ledger.calls import Claim
from sisgate.ledger.database import Database
from sisgate.ledger.redelivery import Address
from sisgate.ledger.schema import Call
from tests.contract.ledger.rows import LEASE, NOW, at_once, planned, queued

POLICY = RetryPolicy()
LATER = NOW + timedelta(minutes=1)


def failed(database: Database, count: int, **words: object) -> list[int]:
    """Return calls that the provider has failed once, and whose wait is over at `LATER`."""
    _, ids = queued(database, count, **words)
    for call_id in ids:
        with database.write() as session:
            claim = calls.claim(session, call_id, NOW, LEASE)
            assert claim is not None
            calls.put_back(session, claim.call, NOW, not_before=LATER, failed=True, status=500)
    return ids


def running(database: Database, count: int, **words: object) -> list[Claim]:
    """Return first requests of calls that are under way."""
    _, ids = queued(database, count, **words)
    claims = []
    for call_id in ids:
        with database.write() as session:
            claims.append(calls.claim(session, call_id, LATER, LEASE))
    return [claim for claim in claims if claim is not None]


def publish(database: Database, policy: RetryPolicy = POLICY) -> list[Address]:
    """Queue the retries that are due, as one reconciler."""
    with database.write() as session:
        return retries.due(session, LATER, lambda _: policy)


def fail_over(database: Database, claim: Claim) -> bool:
    """Begin a call's second request, as one worker."""
    with database.write() as session:
        return retries.begin_again(session, claim.call, LATER, LEASE, permit="p", policy=POLICY)


def out(database: Database, provider: str = "lincoln") -> int:
    """Return how many retries are queued or under way."""
    with database.read() as session:
        query = select(func.count()).where(
            Call.provider == provider,
            Call.is_retry,
            Call.state.in_([CallState.QUEUED.value, CallState.RUNNING.value]),
        )
        return session.scalar(query) or 0


def test_a_quiet_provider_still_retries_a_few(database: Database) -> None:
    """Nothing runs: 3 go out, the rest waits with the try it has spent and no more."""
    ids = failed(database, 10)
    assert [call_id for call_id, *_ in publish(database)] == ids[:3]
    assert publish(database) == []
    with database.read() as session:
        rows = session.execute(select(Call.state, Call.tries).order_by(Call.id)).all()
    assert [tuple(row) for row in rows] == [("queued", 1)] * 3 + [("planned", 1)] * 7


def test_a_fifth_of_what_runs_may_be_retries(database: Database) -> None:
    """Of 40 running calls 8; each that ends makes room for the next."""
    failed(database, 20)
    running(database, 40)
    assert len(publish(database)) == 8
    with database.write() as session:
        first = session.scalars(select(Call.id).where(Call.is_retry).order_by(Call.id)).first()
        assert first is not None
        claim = calls.claim(session, first, LATER, LEASE)
        assert claim is not None
        calls.finish(session, claim.call, CallState.DONE, LATER, status=200)
    assert len(publish(database)) == 1


def test_all_of_them_go_out_in_time(database: Database) -> None:
    """Nothing is lost: whoever waits comes as others end."""
    ids = set(failed(database, 11))
    done: set[int] = set()
    while sent := publish(database):
        assert len(sent) <= 3
        for call_id, *_ in sent:
            with database.write() as session:
                claim = calls.claim(session, call_id, LATER, LEASE)
                assert claim is not None
                calls.finish(session, claim.call, CallState.DONE, LATER, status=200)
            done.add(call_id)
    assert done == ids


def test_one_providers_retries_leave_another_ones_alone(database: Database) -> None:
    """The budget is per provider."""
    failed(database, 5)
    failed(database, 5, provider="skyward")
    assert len(publish(database)) == 6
    assert out(database) == out(database, "skyward") == 3


def test_failovers_and_due_retries_share_the_budget_of_the_fleet(database: Database) -> None:
    """Eight workers and reconcilers at once, on both kinds of database: never more than allowed."""
    failed(database, 30)
    claims = running(database, 20)
    works = [lambda claim=claim: fail_over(database, claim) for claim in claims[:6]]
    results = at_once(*works, *[lambda: publish(database)] * 2)
    assert [r for r in results if isinstance(r, Exception)] == []
    assert out(database) == POLICY.retries_allowed(20) == 4


def test_a_failover_without_room_changes_nothing(database: Database) -> None:
    """The call keeps its claim and its first attempt, and is tried again later in its turn."""
    failed(database, 3)
    publish(database)
    (claim,) = running(database, 1)
    number = claim.call.attempt
    assert not fail_over(database, claim)
    with database.write() as session:
        assert calls.put_back(session, claim.call, LATER, not_before=LATER, failed=True)
        assert session.get_one(Call, claim.call.id).attempt == number


def test_a_retry_that_fails_over_has_its_place_already(database: Database) -> None:
    """One call is one retry, at however many endpoints."""
    failed(database, 3)
    (call_id, *_), *_ = publish(database)
    with database.write() as session:
        claim = calls.claim(session, call_id, LATER, LEASE)
    assert claim is not None
    assert fail_over(database, claim)
    assert out(database) == 3


def test_an_urgent_retry_takes_the_place_of_a_low_one(database: Database) -> None:
    """Low ones that wait in a long queue don't keep urgent ones in the ledger."""
    low = failed(database, 5, priority=Priority.LOW)
    publish(database)
    urgent = failed(database, 2, priority=Priority.URGENT)
    assert [call_id for call_id, *_ in publish(database)] == urgent
    assert out(database) == 3
    with database.read() as session:
        waiting = session.scalars(
            select(Call.id).where(Call.id.in_(low), Call.state == CallState.PLANNED.value)
        ).all()
    assert len(waiting) == 4


def test_the_next_of_a_job_is_not_its_retry(database: Database) -> None:
    """Filling a job's window does not go round the budget."""
    job_id, _ = planned(database, 2)
    with database.write() as session:
        first, second = session.scalars(select(Call).where(Call.job_id == job_id)).all()
        session.execute(update(Call).where(Call.id == first.id).values(is_retry=True))
        assert call_queue.queue_next(session, job_id, 10, NOW) == [second.id]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(st.sampled_from(["publish", "begin", "end", "fail", "fail over"]), max_size=30),
    budget=st.sampled_from([0.0, 0.2, 0.5]),
    least=st.integers(1, 3),
)
def test_no_order_of_events_exceeds_the_budget(
    database: Database, steps: list[str], budget: float, least: int
) -> None:
    """Whatever happens, a retry begins only where there is room for it."""
    policy = RetryPolicy(budget=budget, min_concurrency=least)
    with database.write() as session:
        session.execute(update(Call).values(state=CallState.DONE.value, is_retry=False))
    failed(database, 4)
    claims = running(database, 6)
    for step in steps:
        before, allowed = out(database), policy.retries_allowed(len(claims))
        if step == "publish":
            publish(database, policy)
        elif step == "begin":
            claims += running(database, 1)
        elif claims and step == "fail over":
            with database.write() as session:
                retries.begin_again(
                    session, claims[0].call, LATER, LEASE, permit="p", policy=policy
                )
        elif claims:
            claim = claims.pop()
            with database.write() as session:
                if step == "fail":
                    calls.put_back(session, claim.call, LATER, not_before=LATER, failed=True)
                else:
                    calls.finish(session, claim.call, CallState.DONE, LATER)
        assert out(database) <= max(before, allowed)
