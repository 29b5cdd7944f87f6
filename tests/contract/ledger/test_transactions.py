"""A transaction is one, whether its statements go by the ORM, by the driver, or by both."""

import pytest
from sqlalchemy import Connection, event, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sisgate.domain.states import JobKind, JobState
from sisgate.ledger import acceptance, call_statements
from sisgate.ledger.acceptance import NewJob
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Job
from tests.contract.ledger.rows import NOW, new_job


def accept(database: Database) -> NewJob:
    """Accept a job in a transaction of its own."""
    new = new_job(kind=JobKind.SYNC)
    with database.write() as session:
        acceptance.accept_to_publish(session, new, NOW)
    return new


def state(database: Database, job_id: str) -> str | None:
    """Return a job's state as another transaction sees it."""
    with database.read() as session:
        return call_statements.state_of(session, job_id)


def test_what_every_call_passes_makes_no_orm_session(database: Database) -> None:
    """That would take longer than its statements; with the first use of the ORM there is one."""
    new = accept(database)
    with database.write() as session:
        call_statements.lock_job(session, new.id)
        assert "identity_map" not in vars(session)
        assert session.get(Job, new.id) is not None
        assert "identity_map" in vars(session)


def test_both_ways_see_each_other_and_are_committed_together(database: Database) -> None:
    """What the ORM has changed is in the database before the commit."""
    new = accept(database)
    with database.write() as session:
        assert call_statements.lock_job(session, new.id) == JobState.ACCEPTED
        job = session.get_one(Job, new.id)
        job.state = JobState.RUNNING.value
        session.flush()
        assert call_statements.state_of(session, new.id) == JobState.RUNNING
        job.note = "seen"
    assert state(database, new.id) == JobState.RUNNING
    with database.read() as session:
        assert session.scalar(select(Job.note).where(Job.id == new.id)) == "seen"


@pytest.mark.parametrize("uses_orm", [False, True])
def test_an_error_undoes_both(database: Database, *, uses_orm: bool) -> None:
    """Whatever came before it; and the connection can be used again."""
    new = accept(database)
    second = new_job(kind=JobKind.SYNC)

    def fail(session: Session) -> None:
        acceptance.accept_to_publish(session, second, NOW)
        if uses_orm:
            session.get_one(Job, new.id).state = JobState.FAILED.value
            session.flush()
        raise RuntimeError

    with pytest.raises(RuntimeError), database.write() as session:
        fail(session)
    assert state(database, second.id) is None
    assert state(database, new.id) == JobState.ACCEPTED


def test_what_is_rolled_back_within_is_not_committed(database: Database) -> None:
    """By the driver or by the ORM."""
    new = new_job(kind=JobKind.SYNC)
    with database.write() as session:
        acceptance.accept_to_publish(session, new, NOW)
        session.rollback()
    assert state(database, new.id) is None


def test_what_follows_a_rollback_within_is_a_transaction_again(database: Database) -> None:
    """An error after it undoes it; SQLite would have committed each statement by itself."""
    new = new_job(kind=JobKind.REQUEST)

    def fail(session: Session) -> None:
        acceptance.accept(session, new_job(), NOW)
        session.rollback()
        acceptance.accept(session, new, NOW)
        raise LookupError

    with pytest.raises(LookupError), database.write() as session:
        fail(session)
    assert state(database, new.id) is None


def test_an_error_of_the_driver_is_the_librarys(database: Database) -> None:
    """So that whoever handles one handles all."""
    values = {"id": None, "kind": "sync"}
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text("INSERT INTO jobs (id, kind) VALUES (:id, :kind)"), values)
    broken = new_job(kind=JobKind.SYNC, app=None)
    with pytest.raises(IntegrityError), database.write() as session:
        acceptance.accept_to_publish(session, broken, NOW)


def test_who_asks_after_the_commit_holds_no_lock(database: Database) -> None:
    """A process that is frozen there must not keep the others out."""
    asked: list[bool] = []

    def at_commit(session: Session) -> None:
        bind = session.get_bind()
        assert isinstance(bind, Connection)
        asked.append(bind.in_transaction())

    event.listen(Session, "after_commit", at_commit)
    try:
        accept(database)
    finally:
        event.remove(Session, "after_commit", at_commit)
    assert asked == [False]
