"""One call to a provider, and its answer."""

from typing import Any

import pytest
from sqlalchemy import update

from sisgate.errors import InvalidState, JobExpired, ProviderRefused, UnknownProvider, UsageError
from sisgate.ledger.schema import Job
from tests.contract.gateway.world import LIMITED, NAME, World


def test_the_providers_answer_comes_back_as_it_is(world: World) -> None:
    """Whatever its status, byte by byte; method, query and body went there."""
    world.answers({"/x": (418, {"Content-Type": "x/y", "ETag": '"7"'}, b"\x00\xff{}")})
    with world.working():
        answer = world.gateway.request(
            NAME, "post", "/x", query=[("a", "1"), ("a", "2")], json={"é": None}, timeout=30
        )
    assert (answer.status, answer.body, answer.ok) == (418, b"\x00\xff{}", False)
    headers = {name.lower(): text for name, text in answer.headers.items()}
    assert (headers["content-type"], headers["etag"]) == ("x/y", '"7"')
    assert (answer.origin, answer.is_stale, answer.truncated) == ("call", False, False)
    assert world.asked() == [("POST", "/x?a=1&a=2")]
    with pytest.raises(ProviderRefused) as refused:
        answer.raise_for_status()
    assert refused.value.detail == {"status": 418, "job": answer.job_id}
    status = world.gateway.jobs.status(answer.job_id)
    assert (status.kind, status.app, status.state) == ("request", "gradebook", "failed")
    stored = world.gateway.answer(answer.job_id, purpose="a look")
    assert (stored.status, stored.body, stored.headers) == (418, answer.body, answer.headers)
    target = world.gateway.jobs.request_target(answer.job_id)
    assert target is not None
    assert (target.method, target.path) == ("POST", "/x")
    assert target.pairs == (("a", "1"), ("a", "2"))


def test_a_query_is_written_as_requests_writes_it(world: World) -> None:
    """A list repeats its name, None leaves it out; what is no query, body or headers is said."""
    world.answers({"/x": (200, {"Content-Type": "text/plain; charset=latin-1"}, b"Zo\xeb")})
    with world.working():
        query = {"id": [1, 2.5], "after": None, "all": True}
        answer = world.gateway.request(NAME, "GET", "/x", query=query, timeout=30)
    assert world.asked() == [("GET", "/x?id=1&id=2.5&all=True")]
    assert answer.text == "Zoë"
    wrong: list[dict[str, Any]] = [
        {"query": "a=1"}, {"query": 5}, {"query": [("a",)]}, {"query": {"a": {"b": 1}}},
        {"body": "text"}, {"headers": [("a", "b")]},
    ]  # fmt: skip
    for each in wrong:
        with pytest.raises(UsageError, match=f"{next(iter(each))} is "):
            world.gateway.request(NAME, "POST", "/x", **each)


def test_an_enqueued_request_is_answered_later(world: World) -> None:
    """Not before."""
    world.answers({"/x": {"a": 1}})
    job = world.gateway.enqueue_request(NAME, "GET", "/x", query={"q": "é&="})
    with pytest.raises(InvalidState) as early:
        job.answer()
    assert early.value.detail["job"] == job.id
    with world.working():
        assert job.wait(timeout=30).state == "done"
    assert job.answer().json() == {"a": 1}
    assert world.gateway.jobs.request_target(world.gateway.sync(NAME, "orgs").id) is None


def test_a_request_that_nobody_waits_for_expires(world: World) -> None:
    """As at its timeout; a sync is cancelled, and what has ended stays as it is."""
    job = world.gateway.enqueue_request(NAME, "GET", "/x")
    status = world.gateway.jobs.withdraw(job.id)
    assert (status.state, (status.error or {})["code"]) == ("expired", "job_expired")
    with pytest.raises(InvalidState):
        world.gateway.jobs.withdraw(job.id)
    tried = world.gateway.enqueue_request(NAME, "GET", "/x")
    with world.fleet.context.database.write() as session:
        session.execute(update(Job).where(Job.id == tried.id).values(calls_made=2))
    error = world.gateway.jobs.withdraw(tried.id).error or {}
    assert "gave no good answer in time, to 2 tries." in error["message"]
    with pytest.raises(InvalidState):
        world.gateway.jobs.withdraw(world.gateway.sync(NAME, "orgs").id)


def test_without_an_answer_in_time_the_call_is_withdrawn(world: World) -> None:
    """It expires, with the reason and the ids."""
    with pytest.raises(JobExpired) as late:
        world.gateway.request(NAME, "GET", "/x", timeout=0.1)
    assert "could not be called in time" in late.value.message
    assert "has been withdrawn" in late.value.message
    (status,) = world.gateway.jobs.list()
    assert status.state == "expired"
    assert late.value.detail["job"] == status.id
    assert world.asked() == []


def test_a_stored_answer_that_is_new_enough_is_taken(world: World) -> None:
    """With its age; one of its own makes a call."""
    world.answers({"/x": {"a": 1}})
    with world.working():
        first = world.gateway.request(NAME, "GET", "/x", timeout=30)
        again = world.gateway.request(NAME, "GET", "/x", timeout=30, max_age=600)
        assert (again.job_id, again.origin) == (first.job_id, "stored")
        assert again.age_seconds is not None
        job = world.gateway.enqueue_request(NAME, "GET", "/x", max_age=600)
        assert (job.id, job.is_new, job.origin) == (first.job_id, False, "stored")
        assert job.answer().origin == "stored"
        own = world.gateway.request(NAME, "GET", "/x", timeout=30)
    assert own.job_id != first.job_id
    assert len(world.asked()) == 2


def test_an_old_answer_replaces_a_call_that_cannot_be_made(world: World) -> None:
    """It says that it is stale."""
    world.answers({"/x": {"a": 1}})
    with world.working():
        first = world.gateway.request(NAME, "GET", "/x", timeout=30)
    world.admin.providers.control(NAME).pause(actor="ana")
    old = world.gateway.request(NAME, "GET", "/x", on_unavailable="stale")
    assert (old.job_id, old.body, old.is_stale) == (first.job_id, first.body, True)


def test_the_same_key_is_the_same_call(world: World) -> None:
    """Whoever repeats it gets the first one's answer."""
    world.answers({"/x": {"a": 1}})
    with world.working():
        first = world.gateway.request(NAME, "POST", "/x", timeout=30, idempotency_key="k")
        again = world.gateway.request(NAME, "POST", "/x", timeout=30, idempotency_key="k")
    assert again.job_id == first.job_id
    assert len(world.asked()) == 1


WRONG: list[tuple] = [
    (UnknownProvider, ("nowhere", "GET", "/x"), {}),
    (UsageError, (NAME, "FETCH", "/x"), {}),
    (UsageError, (NAME, "GET", "/../x"), {}),
    (UsageError, (NAME, "GET", "https://elsewhere.test/x"), {}),
    (UsageError, (NAME, "POST", "/x"), {"json": {"a": float("nan")}}),
    (UsageError, (NAME, "POST", "/x"), {"json": {"a": object()}}),
    (UsageError, (NAME, "POST", "/x"), {"json": {}, "body": b"x"}),
    (UsageError, (NAME, "GET", "/x"), {"headers": {"Authorization": "x"}}),
    (UsageError, (NAME, "POST", "/x"), {"max_age": 5}),
    (UsageError, (NAME, "GET", "/x"), {"max_age": 5, "idempotency_key": "k"}),
    (UsageError, (NAME, "POST", "/x"), {"on_unavailable": "stale"}),
    (UsageError, (NAME, "GET", "/x"), {"timeout": 0}),
    (UsageError, (LIMITED, "GET", "/x"), {"transform": "none"}),
]


def test_a_request_that_is_wrong_is_the_same_error_everywhere(world: World) -> None:
    """Of the same class, before anything is accepted."""
    for expected, arguments, options in WRONG:
        for ask in (world.gateway.request, world.gateway.enqueue_request):
            with pytest.raises(expected) as wrong:
                ask(*arguments, **options)
            assert type(wrong.value) is expected, arguments
    assert world.gateway.jobs.list() == []
