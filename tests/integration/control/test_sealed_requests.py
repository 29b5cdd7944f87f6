"""What a request asks for stands nowhere in plain text, and is found again all the same."""

import pytest
from sqlalchemy import select, text

from sisgate import Gateway
from sisgate.credentials.sealed import open_request
from sisgate.credentials.vault import vault_of
from sisgate.errors import IdempotencyConflict, InvalidState
from sisgate.ledger import jobs
from sisgate.ledger.schema import Base, Call, Job

NAME = "Xanthippe"


def everything(gateway: Gateway) -> str:
    """All cells of all tables, as text."""
    with gateway.context.database.read() as session:
        return "\n".join(
            str(tuple(row))
            for table in Base.metadata.sorted_tables
            for row in session.execute(select(text("*")).select_from(table))
        )


def ask(gateway: Gateway, name: str = NAME, key: str | None = None) -> str:
    """Ask for a change of a student; return the job's id."""
    return gateway.enqueue_request(
        "lincoln",
        "POST",
        f"/users/{name}",
        query={"q": name},
        json={"givenName": name},
        idempotency_key=key,
    ).id


def test_path_query_and_body_stand_nowhere_in_plain_text(gateway: Gateway) -> None:
    """Only the method does: whether a call may be repeated depends on it."""
    job_id = ask(gateway)
    assert NAME not in everything(gateway)
    with gateway.context.database.read() as session:
        job = jobs.get(session, job_id)
        call = session.scalars(select(Call).where(Call.job_id == job_id)).one()
    assert job.options == call.target == {"method": "POST"}
    opened = open_request(vault_of(gateway.settings), job)
    assert opened["json"] == {"givenName": NAME}


def test_the_same_key_asks_for_the_same_and_another_request_is_a_conflict(gateway: Gateway) -> None:
    """What was asked for is compared as it was, not by a digest that could be guessed."""
    first = ask(gateway, key="once")
    assert ask(gateway, key="once") == first
    with pytest.raises(IdempotencyConflict) as conflict:
        ask(gateway, "Somebody", key="once")
    assert NAME not in str(conflict.value)


def test_a_job_that_is_tried_again_is_sealed_for_its_own_row(gateway: Gateway) -> None:
    """Moved to another row it would not open."""
    job_id = ask(gateway)
    gateway.jobs.cancel(job_id)
    again = gateway.jobs.retry(job_id).id
    vault = vault_of(gateway.settings)
    with gateway.context.database.read() as session:
        old, new = jobs.get(session, job_id), jobs.get(session, again)
        assert open_request(vault, old) == open_request(vault, new)
        assert old.sealed_request != new.sealed_request


def test_a_row_of_before_requests_were_sealed_still_works(gateway: Gateway) -> None:
    """It is made, compared and repeated; the new row is sealed."""
    job_id = ask(gateway, key="old")
    vault = vault_of(gateway.settings)
    with gateway.context.database.write() as session:
        job = session.get_one(Job, job_id)
        job.options, job.sealed_request = open_request(vault, job), None
    assert ask(gateway, key="old") == job_id
    gateway.jobs.cancel(job_id)
    again = gateway.jobs.retry(job_id).id
    with gateway.context.database.read() as session:
        assert jobs.get(session, again).options == {"method": "POST"}


def test_a_request_that_was_erased_cannot_be_repeated(gateway: Gateway) -> None:
    """And says so."""
    job_id = ask(gateway)
    gateway.jobs.cancel(job_id)
    with gateway.context.database.write() as session:
        session.get_one(Job, job_id).sealed_request = None
    with pytest.raises(InvalidState, match="erased"):
        gateway.jobs.retry(job_id)
