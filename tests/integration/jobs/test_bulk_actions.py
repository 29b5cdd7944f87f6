"""Searching jobs, and retrying or cancelling all that match."""

from datetime import UTC, datetime, timedelta

import pytest

from sisgate import Gateway
from sisgate.access.policy import Principal, Role
from sisgate.domain.states import JobState
from sisgate.errors import UsageError
from sisgate.gateway.bulk_actions import carry_out
from sisgate.gateway.core import Core
from sisgate.gateway.job_status import JobStatus
from sisgate.ledger import recent_jobs
from sisgate.ledger.schema import Job


def test_a_search_finds_what_matches_newest_first(gateway: Gateway) -> None:
    """Page by page, and by the beginning of an id."""
    jobs = [gateway.sync("open", each).id for each in ("students", "teachers", "classes")]
    gateway.jobs.cancel(jobs[0])
    assert [job.id for job in gateway.jobs.search("provider:open")] == jobs[::-1]
    assert [job.id for job in gateway.jobs.search("state:cancelled is:unretried")] == jobs[:1]
    assert [job.id for job in gateway.jobs.search(jobs[1])] == [jobs[1]]
    first = gateway.jobs.search("provider:open", limit=1)
    rest = gateway.jobs.search("provider:open", after=first[0].cursor)
    assert [job.id for job in [*first, *rest]] == jobs[::-1]
    assert gateway.jobs.search("provider:open since:1h until:30m") == []


def test_a_review_changes_nothing_and_tells_what_is_left_out(gateway: Gateway) -> None:
    """Count, states and a sample."""
    jobs = [gateway.sync("open", each).id for each in ("students", "teachers", "classes")]
    gateway.jobs.cancel(jobs[0])
    review = gateway.jobs.review_bulk("cancel", "provider:open")
    assert (review.count, review.is_capped) == (2, False)
    assert review.left_out == {"cancelled": 1}
    assert {job.id for job in review.sample} == set(jobs[1:])
    assert gateway.jobs.status(jobs[1]).state == "accepted"
    with pytest.raises(UsageError, match="cancel"):
        gateway.jobs.review_bulk("cancel", "state:failed")


def test_all_that_match_are_cancelled_then_retried_once(gateway: Gateway) -> None:
    """A second retry finds nothing left."""
    jobs = [gateway.sync("open", each).id for each in ("students", "teachers", "classes")]
    outcome = gateway.jobs.run_bulk("cancel", "provider:open", actor="ada")
    assert (outcome.done, outcome.conflicts, outcome.after) == (3, [], None)
    assert {gateway.jobs.status(job).state for job in jobs} == {"cancelled"}
    assert gateway.jobs.run_bulk("retry", "provider:open").done == 3
    assert all(gateway.jobs.status(job).retried_as for job in jobs)
    assert gateway.jobs.run_bulk("retry", "state:cancelled").done == 0


def test_a_job_that_may_not_be_touched_is_a_conflict_and_stops_nothing(gateway: Gateway) -> None:
    """Here: an operator of one provider only, who sees both."""
    gateway.sync("open", "students")
    app = gateway.acting_as(Principal("gradebook", frozenset({Role.APP})))
    mine = app.sync("open", "teachers").id
    outcome = app.jobs.run_bulk("cancel", "provider:open")
    assert outcome.done == 1  # an app sees and cancels its own jobs only
    assert gateway.jobs.status(mine).state == "cancelled"
    both = gateway.acting_as(Principal("eve", frozenset({Role.APP, Role.VIEWER})))
    outcome = both.jobs.run_bulk("cancel", "provider:open")
    assert outcome.done == 0
    assert "may not" in outcome.conflicts[0].message
    review = both.jobs.review_bulk("cancel", "provider:open")
    assert (review.count, review.forbidden, review.sample) == (0, 1, [])


def test_rounds_end_also_where_nothing_may_be_touched(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each goes on behind the last; conflicts are not met twice."""
    monkeypatch.setattr("sisgate.gateway.bulk_actions.MOST_AT_ONCE", 2)
    both = gateway.acting_as(Principal("eve", frozenset({Role.APP, Role.VIEWER})))
    mine = both.sync("open", "orgs").id
    for each in ("students", "teachers", "classes", "terms"):
        gateway.sync("open", each)
    rounds: list[tuple[int, int]] = []
    after = None
    while not rounds or after is not None:
        outcome = both.jobs.run_bulk("cancel", "provider:open", after=after)
        rounds.append((outcome.done, len(outcome.conflicts)))
        after = outcome.after
    assert rounds == [(0, 2), (0, 2), (1, 0)]
    assert gateway.jobs.status(mine).state == "cancelled"


def test_each_round_gets_on_however_long_the_search_takes(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ended before its first job would say that none is left."""
    monkeypatch.setattr("sisgate.gateway.bulk_actions.SECONDS_AT_ONCE", 0.0)
    for each in ("students", "teachers"):
        gateway.sync("open", each)
    first = gateway.jobs.run_bulk("cancel", "provider:open")
    second = gateway.jobs.run_bulk("cancel", "provider:open", after=first.after)
    assert (first.done, second.done, second.after) == (1, 1, None)


def test_only_what_was_reviewed_is_touched(gateway: Gateway) -> None:
    """The review's query finds no job that was accepted later, however often it is sent."""
    old = gateway.sync("open", "students").id
    review = gateway.jobs.review_bulk("cancel", "provider:open since:1h")
    new = gateway.sync("open", "teachers").id
    assert gateway.jobs.run_bulk("cancel", review.query).done == 1
    assert gateway.jobs.run_bulk("cancel", review.query).done == 0
    assert [gateway.jobs.status(job).state for job in (old, new)] == ["cancelled", "accepted"]


def test_a_job_that_has_moved_meanwhile_is_left_as_it_is_and_told(gateway: Gateway) -> None:
    """Here: it was cancelled between the search and the action, which the reader shows."""
    jobs = [gateway.sync("open", each).id for each in ("students", "teachers")]

    def act(status: JobStatus) -> None:
        gateway.jobs.cancel(jobs[0])
        if status.id == jobs[0]:
            gateway.jobs.cancel(status.id)

    outcome = carry_out(Core(gateway.context), "cancel", "provider:open", None, act)
    assert outcome.done == 1
    assert [each.job for each in outcome.conflicts] == jobs[:1]
    assert "cancelled" in outcome.conflicts[0].message


def test_held_syncs_are_those_that_no_later_sync_has_settled(gateway: Gateway) -> None:
    """An incremental one does not settle what a full one found absent. `why` says the same."""
    now = datetime.now(UTC)
    database = gateway.context.database

    def ends(mode: str, state: JobState, minutes: int) -> str:
        job = gateway.sync("open", "students", mode="full").id
        with database.write() as session:
            row = session.get_one(Job, job)
            row.mode, row.state = mode, state.value
            row.ended_at = now + timedelta(minutes=minutes)
        return job

    def held() -> tuple[list[str], list[str]]:
        with database.read() as session:
            causes = [job.id for job in recent_jobs.held_syncs(session, ["open"])]
        waiting = gateway.jobs.held()
        assert gateway.jobs.search("is:unapproved") == waiting
        return [job.id for job in waiting], causes

    full = ends("full", JobState.HELD, 1)
    ends("incremental", JobState.DONE, 2)
    assert held() == ([full], [full])
    assert "--allow-deletes" in gateway.why(full).findings[0].remedy
    again = ends("full", JobState.HELD, 3)
    assert held() == ([again], [again])
    done = ends("full", JobState.DONE, 4)
    assert held() == ([], [])
    ends("full", JobState.DONE, 5)
    found = {job.id: job for job in gateway.jobs.search("state:held")}
    assert {job_id: job.settled_by for job_id, job in found.items()} == {full: again, again: done}
    assert found[again] == gateway.jobs.list(states="held")[0]
    assert gateway.jobs.status(again).settled_at == now + timedelta(minutes=4)
    verdict = gateway.why(again)
    assert verdict.standing == "well"
    assert f"by a later sync (job {done[:8]}) at " in verdict.figures["settled"]


def test_the_timeline_begins_with_the_acceptance_and_ends_with_the_end(gateway: Gateway) -> None:
    """In the order of time."""
    job = gateway.sync("open", "students", app="gradebook").id
    gateway.jobs.cancel(job)
    texts = [entry.text for entry in gateway.jobs.timeline(job).entries]
    assert texts[0] == "accepted from gradebook"
    assert texts[-1].startswith("cancelled")
