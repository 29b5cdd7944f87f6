"""What the metrics read of the ledger."""

from datetime import timedelta

from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState
from sisgate.ledger import gauges
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Dataset
from tests.contract.ledger.rows import NOW, accepted, planned, queued

MINUTE = timedelta(minutes=1)


def test_jobs_and_dead_letters_are_counted_by_provider(database: Database) -> None:
    """A dead letter that was tried again is none any more."""
    planned(database)
    planned(database, provider="madison")
    with database.write() as session:
        for again in (None, "another"):
            job = accepted(session)
            job.state, job.dead, job.retried_as = JobState.FAILED.value, True, again
    with database.read() as session:
        assert {tuple(row) for row in gauges.jobs(session)} == {
            ("lincoln", "accepted", 1), ("madison", "accepted", 1), ("lincoln", "failed", 2),
        }  # fmt: skip
        assert [tuple(row) for row in gauges.dead_letters(session)] == [("lincoln", 1)]


def test_the_call_that_was_published_first_waits_longest(database: Database) -> None:
    """By provider and priority; what is not queued does not count."""
    queued(database, 2)
    planned(database)
    with database.read() as session:
        found = {(row[0], row[1]): row[2] for row in gauges.oldest_waiting(session)}
    assert found == {("lincoln", int(Priority.NORMAL)): NOW}


def test_a_dataset_has_its_age_and_its_changes(database: Database) -> None:
    """One that was never read has no age."""
    with database.write() as session:
        for resource, at in (("students", NOW + MINUTE), ("classes", None)):
            session.add(
                Dataset(provider="lincoln", resource=resource, synced_at=at, last_sequence=7)
            )
    with database.read() as session:
        assert {tuple(row) for row in gauges.datasets(session)} == {
            ("lincoln", "students", NOW + MINUTE, 7), ("lincoln", "classes", None, 7),
        }  # fmt: skip


def test_an_empty_ledger_has_nothing_to_tell(database: Database) -> None:
    """No seal, no key, no webhook."""
    with database.read() as session:
        assert gauges.sealed_at(session) is None
        assert not gauges.keys(session)
        assert not gauges.webhooks(session)
        assert gauges.webhook_messages(session) == 0
        assert not gauges.shared(session)
