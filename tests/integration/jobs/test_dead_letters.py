"""Dead letters are found, and each is tried again once, whoever and however often asks."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from sisgate import Gateway
from sisgate.domain.states import CallState, JobState
from sisgate.errors import BacklogFull, InvalidState, UsageError
from sisgate.gateway import Job
from sisgate.ledger import audit_log, jobs
from sisgate.ledger.schema import Call
from tests.contract.ledger.rows import at_once


def killed(gateway: Gateway, code: str = "provider_unavailable", **words: Any) -> Job:
    """Return a request that was given up after 5 tries."""
    job = gateway.enqueue_request("lincoln", "GET", "/orgs", query={"limit": "1"}, **words)
    with gateway.context.database.write() as session:
        call = session.scalars(select(Call).where(Call.job_id == job.id)).one()
        call.state, call.tries, call.lost_workers = CallState.FAILED.value, 5, 1
        row = jobs.lock(session, job.id)
        assert row is not None
        error = {"code": code, "message": "It did not answer."}
        jobs.end(session, row, JobState.FAILED, gateway.context.clock.now(), error=error, dead=True)
    return job


def test_a_dead_letter_tells_what_it_died_of(gateway: Gateway) -> None:
    """Tries, lost workers and the last error, for people and as JSON."""
    job = killed(gateway)
    (letter,) = gateway.jobs.dead()
    assert (letter.id, letter.tries, letter.lost_workers) == (job.id, 5, 1)
    assert letter.as_dict()["error"]["code"] == "provider_unavailable"


def test_what_merely_failed_is_no_dead_letter(gateway: Gateway) -> None:
    """A refusal, a cancelled job: trying again would not help by itself."""
    job = gateway.sync("lincoln", "orgs")
    with gateway.context.database.write() as session:
        row = jobs.lock(session, job.id)
        assert row is not None
        jobs.end(session, row, JobState.FAILED, gateway.context.clock.now(), error={"code": "x"})
    gateway.sync("lincoln", "orgs").cancel()
    assert gateway.jobs.dead() == []


def test_dead_letters_are_chosen_by_what_they_are(gateway: Gateway) -> None:
    """By provider, app, error and time; the oldest come first."""
    first, second = killed(gateway), killed(gateway, code="poison")
    assert [letter.id for letter in gateway.jobs.dead()] == [first.id, second.id]
    assert [letter.id for letter in gateway.jobs.dead(limit=1)] == [first.id]
    assert [letter.id for letter in gateway.jobs.dead(error="poison")] == [second.id]
    assert len(gateway.jobs.dead(provider="lincoln", app="default")) == 2
    assert gateway.jobs.dead(provider="open") == gateway.jobs.dead(app="other") == []
    now = gateway.context.clock.now()
    assert len(gateway.jobs.dead(since=now - timedelta(minutes=1))) == 2
    assert gateway.jobs.dead(since=now + timedelta(minutes=1)) == []
    with pytest.raises(UsageError):
        gateway.jobs.dead(since=now.replace(tzinfo=None))


def test_a_job_is_tried_again_once(gateway: Gateway) -> None:
    """The second time returns the same new job; the dead letter is gone; it is audited."""
    dead = killed(gateway)
    first, second = (
        gateway.jobs.retry(dead.id, actor="ana"),
        gateway.jobs.retry(dead.id, actor="ben"),
    )
    assert first.id == second.id
    assert (first.is_new, second.is_new) == (True, False)
    assert gateway.jobs.dead() == []
    assert gateway.jobs.status(dead.id).retried_as == first.id
    assert first.status().app == "default"
    with gateway.context.database.read() as session:
        event = audit_log.tail(session, audit_log.AuditFilter(job=dead.id))[0]
        assert (event.actor, event.action) == ("ana", "jobs:job:retry")


def test_many_who_try_the_same_job_again_make_one(gateway: Gateway) -> None:
    """Two operators press the button at once, and an interrupted command is run again."""
    dead = killed(gateway)
    found = at_once(*[lambda: gateway.jobs.retry(dead.id)] * 6)
    assert [each for each in found if isinstance(each, Exception)] == []
    assert len({job.id for job in found}) == 1
    assert sum(job.is_new for job in found) == 1
    assert len(gateway.jobs.list()) == 2


def test_a_retry_that_is_refused_leaves_the_dead_letter(gateway: Gateway) -> None:
    """A backlog that is full takes nothing, and nothing is linked."""
    dead = killed(gateway)
    for _ in range(3):
        gateway.sync("lincoln", "orgs")
    with pytest.raises(BacklogFull):
        gateway.jobs.retry(dead.id)
    assert [letter.id for letter in gateway.jobs.dead()] == [dead.id]


def test_only_what_has_ended_badly_is_tried_again(gateway: Gateway) -> None:
    """Not what runs, and not what may have been carried out."""
    with pytest.raises(InvalidState):
        gateway.jobs.retry(gateway.sync("lincoln", "orgs").id)
    unknown = unresolved(gateway)
    with pytest.raises(InvalidState, match="sisgate jobs resolve"):
        gateway.jobs.retry(unknown.id)


def unresolved(gateway: Gateway) -> Job:
    """Return a POST that nobody knows the outcome of."""
    job = gateway.enqueue_request("lincoln", "POST", "/orgs", json={})
    with gateway.context.database.write() as session:
        row = jobs.lock(session, job.id)
        assert row is not None
        error = {"code": "outcome_unknown", "message": "It may have been carried out."}
        jobs.end(session, row, JobState.UNKNOWN, gateway.context.clock.now(), error=error)
    return job


@pytest.mark.parametrize("resolution", ["done", "failed"])
def test_an_unknown_outcome_is_resolved_once(gateway: Gateway, resolution: str) -> None:
    """With who said so and why, in the job and in the audit log."""
    job = unresolved(gateway)
    status = gateway.jobs.resolve(job.id, resolution, reason="seen in the SIS", actor="ana")
    assert status.state == resolution
    assert status.note == f"ana resolved it as {resolution}: seen in the SIS."
    with pytest.raises(InvalidState):
        gateway.jobs.resolve(job.id, "failed")
    with gateway.context.database.read() as session:
        (event,) = audit_log.tail(
            session, audit_log.AuditFilter(job=job.id, action="jobs:job:resolve")
        )
        assert (event.actor, event.reason) == ("ana", "seen in the SIS")


def test_resolved_as_retry_it_is_enqueued_once_more(gateway: Gateway) -> None:
    """The old job has failed, and the new one asks the same."""
    job = unresolved(gateway)
    status = gateway.jobs.resolve(job.id, "retry", actor="ana")
    old = gateway.jobs.status(job.id)
    assert (old.state, old.retried_as) == ("failed", status.id)
    assert status.state == "running"


def test_a_resolution_that_is_none_is_refused(gateway: Gateway) -> None:
    """It names those there are."""
    with pytest.raises(UsageError, match="done, failed, retry"):
        gateway.jobs.resolve(unresolved(gateway).id, "maybe")
