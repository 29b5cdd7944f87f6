"""The end of a job goes into the outbox in its own transaction, if anybody wants to hear of it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.domain.states import JobKind, JobState
from sisgate.ledger import jobs
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Job, Webhook, WebhookInterest, WebhookOutbox
from tests.contract.ledger.rows import NOW, queued


def webhook(database: Database, *interests: tuple[str, str], webhook_id: str = "wh_1") -> None:
    """A webhook with these interests."""
    row = Webhook(
        id=webhook_id, app="gradebook", events=["job.ended"], every_app=False, ordered=False,
        state="active", sealed_secret=b"x", created_at=NOW, changed_at=NOW,
    )  # fmt: skip
    with database.write() as session:
        session.add(row)
        session.flush()
        session.add_all(
            WebhookInterest(topic=topic, app=app, webhook_id=webhook_id) for topic, app in interests
        )


def ended(database: Database, state: JobState = JobState.DONE, **words: Any) -> str:
    """A job that ends."""
    job_id, _ = queued(database, 1, **words)
    with database.write() as session:
        job = jobs.lock(session, job_id)
        assert job is not None
        jobs.end(session, job, state, NOW)
    return job_id


def told(database: Database) -> list[WebhookOutbox]:
    """What is in the outbox."""
    with database.read() as session:
        return list(session.scalars(select(WebhookOutbox).order_by(WebhookOutbox.id)))


def test_nothing_is_written_without_an_interest(database: Database) -> None:
    """Nor of another app's job, nor of a request to who hears of syncs."""
    ended(database)
    webhook(database, ("job", "portal"), ("provider", "*"))
    ended(database, app="gradebook")
    webhook(database, ("sync", "*"), webhook_id="wh_2")
    ended(database, app="gradebook", kind=JobKind.REQUEST, resource=None)
    assert told(database) == []


@pytest.mark.parametrize("interest", [("job", "gradebook"), ("job", "*"), ("sync", "*")])
def test_an_end_is_written_once_with_its_ids(database: Database, interest: tuple[str, str]) -> None:
    """Whoever asked; several webhooks with the same interest don't repeat it."""
    webhook(database, interest)
    webhook(database, interest, webhook_id="wh_2")
    job_id = ended(database, app="gradebook")
    (row,) = told(database)
    assert (row.topic, row.job_id, row.app, row.state) == ("job", job_id, "gradebook", "done")
    assert (row.provider, row.at) == ("lincoln", NOW)


def test_what_is_rolled_back_is_not_told(database: Database) -> None:
    """It has not happened."""
    webhook(database, ("job", "*"))
    job_id, _ = queued(database, 1)

    def fail(session: Session) -> None:
        job = jobs.lock(session, job_id)
        assert job is not None
        jobs.end(session, job, JobState.FAILED, NOW)
        session.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.write() as session:
        fail(session)
    assert told(database) == []


def test_a_resolved_job_is_told_again(database: Database) -> None:
    """With the time of that, which whoever reads the outbox knows."""
    webhook(database, ("job", "*"))
    job_id = ended(database, JobState.UNKNOWN)
    with database.write() as session:
        jobs.resolve(session, job_id, JobState.DONE, "looked")
    assert [(row.state, row.at) for row in told(database)] == [("unknown", NOW), ("done", None)]


def test_later_changes_of_an_ended_job_are_not_told(database: Database) -> None:
    """A note is no end."""
    webhook(database, ("job", "*"))
    job_id = ended(database)
    with database.write() as session:
        job = session.get(Job, job_id)
        assert job is not None
        job.note, job.ended_at = "read", NOW + timedelta(seconds=1)
    assert len(told(database)) == 1
