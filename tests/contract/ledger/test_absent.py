"""Datasets that a provider doesn't offer are known from the jobs that it refused."""

from datetime import timedelta
from typing import Any

import pytest

from sisgate.domain.states import JobState
from sisgate.ledger import datasets, jobs, recent_jobs
from sisgate.ledger.database import Database
from tests.contract.ledger.rows import NOW, accepted


def refused(database: Database, resource: str, **error: Any) -> None:
    """A sync of a dataset that failed."""
    with database.write() as session:
        row = jobs.lock(session, accepted(session, resource=resource).id)
        assert row is not None
        row.started_at = NOW
        words = {"code": "provider_refused", "message": "No.", "status": 404, **error}
        jobs.end(session, row, JobState.FAILED, NOW, error=words)


def read(database: Database, resource: str) -> None:
    """A dataset that was read."""
    with database.write() as session:
        datasets.lock(session, "lincoln", resource).synced_at = NOW


def found(database: Database, after: timedelta = timedelta(0)) -> list[str | None]:
    """The absent datasets."""
    with database.read() as session:
        return [job.resource for job in datasets.absent(session, "lincoln", NOW + after)]


def broken(database: Database) -> list[str]:
    """The datasets that fail though they are there."""
    with database.read() as session:
        return sorted(str(job.resource) for job in recent_jobs.failed_syncs(session, NOW))


@pytest.mark.parametrize("status", [403, 404, 405, 410, 501])
def test_a_dataset_that_is_refused_is_absent_for_some_days(database: Database, status: int) -> None:
    """Then it is asked for again."""
    read(database, "students")
    refused(database, "demographics", status=status)
    assert (found(database), broken(database)) == (["demographics"], [])
    assert found(database, datasets.ASK_AGAIN + timedelta(seconds=1)) == []


@pytest.mark.parametrize("status", [400, 401, 429, 500, None])
def test_another_failure_says_nothing_about_what_there_is(
    database: Database, status: int | None
) -> None:
    """A key that is refused, an outage, a bad answer."""
    read(database, "students")
    refused(database, "demographics", status=status)
    assert (found(database), broken(database)) == ([], ["demographics"])


def test_what_was_read_before_is_not_absent_but_broken(database: Database) -> None:
    """Each sync is to fail until somebody looks."""
    read(database, "students")
    read(database, "demographics")
    refused(database, "demographics")
    assert (found(database), broken(database)) == ([], ["demographics"])
    with database.write() as session:
        row = jobs.lock(session, accepted(session, resource="demographics").id)
        assert row is not None
        row.started_at = NOW
        jobs.end(session, row, JobState.DONE, NOW + timedelta(seconds=1))
    assert broken(database) == []


def test_a_sync_that_was_refused_to_its_app_says_nothing_about_the_provider(
    database: Database,
) -> None:
    """Neither that a dataset of any name is broken nor, after a real failure, that it is not."""
    read(database, "students")
    refused(database, "students", status=500)
    with database.write() as session:
        for name in ("students", "call 555-0100 at once"):
            job = accepted(session, resource=name)
            error = {"code": "access_denied", "message": "No."}
            jobs.end(session, job, JobState.FAILED, NOW + timedelta(seconds=1), error=error)
    assert broken(database) == ["students"]


def test_a_provider_that_refuses_everything_has_another_trouble(database: Database) -> None:
    """A wrong base path or scope must not leave a roster that is empty and well."""
    refused(database, "students")
    refused(database, "demographics")
    assert (found(database), broken(database)) == ([], ["demographics", "students"])
