"""Enqueuing, following and acting on jobs."""

import re
from dataclasses import asdict
from datetime import timedelta

import pytest

from sisgate import NewRequest, NewSync
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState
from sisgate.errors import (
    AccessDenied,
    BacklogFull,
    IdempotencyConflict,
    InvalidState,
    JobCancelled,
    JobFailed,
    ProviderHeld,
    UnknownJob,
    UnknownProvider,
    UnknownResource,
    UsageError,
)
from tests.contract.gateway.world import LIMITED, NAME, World

ABSENT = "00000000-0000-4000-8000-000000000000"


def test_a_sync_is_accepted_and_waits_with_the_status_it_was_given(world: World) -> None:
    """Its handle tells the same as the part."""
    expires_at = world.now() + timedelta(hours=1)
    job = world.gateway.sync(NAME, "students", priority="high", expires_at=expires_at)
    assert (job.is_new, job.age_seconds, job.is_stale, job.origin) == (True, None, False, "call")
    status = job.status()
    assert status.id == job.id
    assert (status.kind, status.state, status.app) == ("sync", JobState.ACCEPTED, "gradebook")
    assert (status.provider, status.resource) == (NAME, "students")
    assert status.priority is Priority.HIGH
    assert status.expires_at == expires_at
    assert status.complete is None
    assert status == world.gateway.jobs.status(job.id) == world.gateway.job(job.id).status()
    assert world.gateway.jobs.statuses([job.id, ABSENT]) == [status]
    assert world.gateway.jobs.owner() == "gradebook"


def test_a_job_is_found_by_the_beginning_of_its_id(world: World) -> None:
    """Of none and of several, too."""
    job = world.gateway.sync(NAME, "students")
    assert world.gateway.jobs.find(job.id[:12]) == job.id
    with pytest.raises(UnknownJob):
        world.gateway.jobs.find("ffffffff-ffff")
    with pytest.raises(UsageError):
        world.gateway.jobs.find("")


def test_the_app_may_choose_the_id(world: World) -> None:
    """So that it can watch the job before it is accepted."""
    chosen = "11111111-1111-4111-8111-111111111111"
    assert world.gateway.sync(NAME, "students", job_id=chosen).id == chosen
    request = world.gateway.enqueue_request(NAME, "GET", "/x", job_id=chosen[:-1] + "2")
    assert request.status().kind == "request"


def test_the_same_idempotency_key_is_the_same_job(world: World) -> None:
    """With other arguments it is a conflict."""
    first = world.gateway.sync(NAME, "students", idempotency_key='a "key"')
    again = world.gateway.sync(NAME, "students", idempotency_key='a "key"')
    assert (again.id, again.is_new) == (first.id, False)
    with pytest.raises(IdempotencyConflict) as conflict:
        world.gateway.sync(NAME, "classes", idempotency_key='a "key"')
    assert conflict.value.detail["job"] == first.id


def test_many_are_accepted_at_once_or_none(world: World) -> None:
    """An error names the place of its item."""
    items: list[NewSync | NewRequest] = [
        NewSync(NAME, "students", idempotency_key="k"),
        NewRequest(NAME, "POST", "/x", json={"a": [1]}, query=[("b", "1"), ("b", "2")]),
        NewRequest(NAME, "PUT", "/x", body=b"\x00\xff", headers={"content-type": "x/y"}),
    ]
    jobs = world.gateway.enqueue(items)
    assert [job.status().kind for job in jobs] == ["sync", "request", "request"]
    again = world.gateway.enqueue(items[:1])
    assert [(job.id, job.is_new) for job in again] == [(jobs[0].id, False)]
    assert world.gateway.enqueue([]) == []
    with pytest.raises(UnknownProvider) as wrong:
        world.gateway.enqueue([NewSync(NAME, "classes"), NewSync("nowhere", "students")])
    assert wrong.value.detail["index"] == 1
    assert len(world.gateway.jobs.list()) == 3


def test_many_providers_are_synced_together(world: World) -> None:
    """One that is refused keeps no other from being accepted."""
    for resource in ("orgs", "terms"):
        world.gateway.sync(LIMITED, resource)
    results = world.gateway.sync_many({"kind": "oneroster"}, ["students"], priority="low")
    assert [(each.provider, each.resource) for each in results] == [
        (NAME, "students"), (LIMITED, "students"),
    ]  # fmt: skip
    assert results[0].job is not None
    assert results[0].job.is_new
    assert results[0].job.status().priority is Priority.LOW
    assert type(results[1].error) is BacklogFull
    with pytest.raises(UnknownProvider):
        world.gateway.sync_many({"name": "nowhere*"})


def test_lists_are_filtered_and_go_on_behind_a_cursor(world: World) -> None:
    """The newest first."""
    jobs = [world.gateway.sync(NAME, each).id for each in ("students", "classes", "orgs")]
    listed = world.gateway.jobs.list(limit=2)
    assert [each.id for each in listed] == jobs[:0:-1]
    rest = world.gateway.jobs.list(after=listed[-1].cursor)
    assert [each.id for each in rest] == jobs[:1]
    assert [each.id for each in world.gateway.jobs.list(resource="classes")] == [jobs[1]]
    assert world.gateway.jobs.list(states="done") == []
    assert len(world.gateway.jobs.list(states=["accepted", JobState.DONE])) == 3
    with pytest.raises(UsageError):
        world.gateway.jobs.list(states="gone")
    with pytest.raises(UsageError):
        world.gateway.jobs.list(after="nonsense")


def test_a_cancelled_job_can_be_retried_once(world: World) -> None:
    """A second retry returns the same new job."""
    job = world.gateway.sync(NAME, "students")
    cancelled = job.cancel()
    assert cancelled.state is JobState.CANCELLED
    with pytest.raises(InvalidState):
        job.cancel()
    with pytest.raises(JobCancelled) as failed:
        job.wait(timeout=5)
    assert failed.value.detail["job"] == job.id
    new = world.gateway.jobs.retry(job.id)
    again = world.gateway.jobs.retry(job.id)
    assert (new.is_new, again.is_new, again.id) == (True, False, new.id)
    assert job.status().retried_as == new.id
    with pytest.raises(InvalidState):
        world.gateway.jobs.resolve(new.id, "done")


def test_waiting_for_what_does_not_end_is_a_timeout_that_says_why(world: World) -> None:
    """The job is kept."""
    world.admin.providers.control(LIMITED).pause(actor="ana")
    job = world.gateway.sync(LIMITED, "students")
    with pytest.raises(TimeoutError) as late:
        job.wait(timeout=0.1)
    assert str(late.value) == (
        f"Job {job.id} has not ended within 0.1 s. {LIMITED} is paused. The job is kept and waits."
    )
    assert world.gateway.jobs.ended_within(job.id, 0.1) is None
    wait = world.gateway.jobs.waits_for(job.id)
    assert wait is not None
    assert (wait.reason, wait.until) == ("paused", None)
    assert wait.hold == world.gateway.providers.hold(LIMITED)
    assert "is paused indefinitely" in wait.explanation(LIMITED)
    assert not job.status().is_final


def test_a_provider_that_takes_no_calls_refuses_who_does_not_wait(world: World) -> None:
    """With the seconds to wait."""
    world.admin.providers.control(NAME).pause(world.now() + timedelta(minutes=5), actor="ana")
    for enqueue in (
        lambda: world.gateway.sync(NAME, "students", on_unavailable="fail"),
        lambda: world.gateway.enqueue_request(NAME, "GET", "/x", on_unavailable="stale"),
        lambda: world.gateway.request(NAME, "GET", "/x", on_unavailable="fail"),
    ):
        with pytest.raises(ProviderHeld) as held:
            enqueue()
        assert held.value.detail["reason"] == "paused"
        assert 200 < held.value.seconds <= 300
    assert world.gateway.jobs.list() == []


def test_a_full_backlog_refuses(world: World) -> None:
    """At once, with the seconds."""
    for resource in ("students", "classes"):
        world.gateway.sync(LIMITED, resource)
    with pytest.raises(BacklogFull) as full:
        world.gateway.sync(LIMITED, "orgs")
    assert full.value.seconds > 0


WRONG: list[tuple] = [
    (UnknownProvider, "nowhere", "students", {}),
    (UnknownResource, NAME, "studnts", {}),
    (UsageError, NAME, "students", {"priority": "loud"}),
    (UsageError, NAME, "students", {"mode": "half"}),
    (UsageError, NAME, "students", {"timeout": -1}),
    (UsageError, NAME, "students", {"on_unavailable": "cry"}),
    (UsageError, NAME, "students", {"mode": "incremental", "allow_deletes": True}),
    (AccessDenied, NAME, "students", {"allow_deletes": True}),
    (AccessDenied, NAME, "students", {"app": "other"}),
]


def test_a_sync_that_is_wrong_is_the_same_error_everywhere(world: World) -> None:
    """Of the same class, before anything is accepted."""
    for expected, provider, resource, options in WRONG:
        with pytest.raises(expected) as wrong:
            world.gateway.sync(provider, resource, **options)
        assert type(wrong.value) is expected, (provider, resource, options)
    assert world.gateway.jobs.list() == []
    world.gateway.datasets.check(NAME, "students", "classes")
    world.gateway.datasets.check("*", "students")
    for expected, provider, resource in (
        (UnknownProvider, "nowhere", "students"), (UnknownResource, NAME, "grades"),
        (UnknownResource, "*", "grades"),
    ):  # fmt: skip
        with pytest.raises(expected, match=resource if expected is UnknownResource else provider):
            world.gateway.datasets.check(provider, resource)


def test_what_the_caller_may_not_see_does_not_exist(world: World) -> None:
    """Nor does what has no id at all."""
    foreign = world.admin.sync(NAME, "students", app="other")
    for job_id in (foreign.id, ABSENT, "../../health/live", "a b?c#d"):
        with pytest.raises(UnknownJob):
            world.gateway.job(job_id)
    assert world.gateway.jobs.list(app="other") == []
    assert [each.id for each in world.admin.jobs.list(app="other")] == [foreign.id]


def test_a_sync_that_ends_wakes_who_waits(world: World) -> None:
    """A failed one raises, with what the provider said; it is not dead."""
    world.answers({})
    job = world.gateway.sync(NAME, "students")
    with world.working(), pytest.raises(JobFailed) as failed:
        job.wait(timeout=60)
    assert failed.value.detail["job"] == job.id
    assert re.search(r"404|no such path", failed.value.message)
    status = job.status()
    assert (status.state, status.is_final, status.dead) == (JobState.FAILED, True, False)
    assert status.error is not None
    assert status.error["code"] == "provider_refused"
    assert world.gateway.jobs.ended_within(job.id, 1) == status
    assert world.gateway.jobs.wait(job.id, 1) == status
    assert world.gateway.jobs.dead() == []
    assert job.expected_finish == status.ended_at
    assert asdict(status)["calls"] == dict(status.calls)


def test_a_verdict_names_who_is_at_fault(world: World) -> None:
    """With the same words."""
    world.admin.providers.control(LIMITED).pause(actor="ana")
    verdict = world.gateway.why(LIMITED)
    assert verdict.subject == LIMITED
    assert verdict.culprit is not None
    assert verdict.culprit.cause == "paused"
    assert "ana" in str(verdict.culprit.party)
    assert LIMITED in verdict.summary
    assert world.gateway.why(NAME).summary
    with pytest.raises(UnknownProvider):
        world.gateway.why("nowhere")


def test_plans_tell_calls_quota_and_times(world: World) -> None:
    """And why there are none."""
    plan = world.gateway.plan(LIMITED, "students", priority="low")
    assert (plan.calls, plan.left, plan.hold, list(plan.obstacles)) == (None, 1, None, [])
    assert plan.starts_at is not None
    job = world.gateway.sync(LIMITED, "students")
    assert world.gateway.jobs.expected(job.id).calls == 1
    assert job.expected_start is not None
    world.admin.providers.control(LIMITED).pause(actor="ana")
    held = world.gateway.plan(LIMITED, "students")
    assert held.starts_at is None
    assert held.hold is not None
    assert held.hold.reason == "paused"
    with pytest.raises(UnknownResource):
        world.gateway.plan(LIMITED, "studnts")


def test_jobs_are_searched_as_people_write_it(world: World) -> None:
    """Page by page, the newest first."""
    jobs = [world.gateway.sync(NAME, "students", mode="full") for _ in range(2)]
    other = world.gateway.sync(LIMITED, "classes")
    search = world.gateway.jobs.search
    assert [each.id for each in search()] == [other.id, jobs[1].id, jobs[0].id]
    first, second = (
        search(f"provider:{NAME} state:accepted since:2h", limit=1),
        search(f"provider:{NAME}"),
    )
    assert second == world.gateway.jobs.list(provider=NAME)
    assert [each.id for each in search(f"provider:{NAME}", after=first[0].cursor)] == [jobs[0].id]
    assert [each.id for each in search(other.id[:13])] == [other.id]
    assert search("state:failed") == world.gateway.jobs.held() == []
    with pytest.raises(UsageError):
        search("colour:red")


def test_a_jobs_timeline_tells_what_happened(world: World) -> None:
    """In order, from its acceptance to its end."""
    world.answers({})
    with world.working():
        job = world.gateway.enqueue_request(NAME, "GET", "/nothing")
        with pytest.raises(JobFailed):
            job.wait(60)
    timeline = world.gateway.jobs.timeline(job.id)
    accepted, *_, ended = timeline.entries
    assert timeline.is_whole
    assert accepted.text == "accepted from gradebook"
    assert (ended.at, ended.tone) == (job.status().ended_at, "bad")
    (call,) = (each for each in timeline.entries if " answered 404 " in each.text)
    assert call.call is not None
    with pytest.raises(UnknownJob):
        world.gateway.jobs.timeline(ABSENT)


def test_all_jobs_that_match_are_cancelled_and_retried(world: World) -> None:
    """After a review, which changes nothing; one's own only."""
    mine = [world.gateway.sync(NAME, each) for each in ("students", "classes")]
    foreign = world.admin.sync(NAME, "orgs")
    query = f"provider:{NAME}"
    review = world.gateway.jobs.review_bulk("cancel", query)
    assert (review.action, review.count, review.is_capped) == ("cancel", 2, False)
    assert (review.by_state, review.left_out) == ({"accepted": 2}, {})
    assert {each.id for each in review.sample} == {each.id for each in mine}
    assert review.wanted.provider == NAME
    cancelled = world.gateway.jobs.run_bulk("cancel", query)
    assert cancelled.as_dict() == {"action": "cancel", "done": 2, "conflicts": [], "after": None}
    assert {each.status().state for each in mine} == {JobState.CANCELLED}
    assert foreign.status().state is JobState.ACCEPTED
    assert world.admin.jobs.review_bulk("retry", query).left_out == {"accepted": 1}
    assert world.gateway.jobs.run_bulk("retry", query).done == 2
    for method in (world.gateway.jobs.review_bulk, world.gateway.jobs.run_bulk):
        with pytest.raises(UsageError):
            method("explode", query)
        with pytest.raises(UsageError):
            method("cancel", "colour:red")
