"""While a provider takes no calls an app waits, fails at once, or gets old data with its age."""

from datetime import datetime, timedelta

import pytest

from sisgate import Gateway
from sisgate.credentials.sealed import marks_of
from sisgate.credentials.vault import vault_of
from sisgate.domain.states import JobState
from sisgate.errors import ProviderHeld, UsageError
from sisgate.gateway import Job
from sisgate.ledger import datasets, jobs
from sisgate.ledger.schema import Response

MINUTE = timedelta(minutes=1)


def answered(gateway: Gateway, body: bytes, ago: timedelta, *, status: int = 200) -> Job:
    """Return a request for the orgs whose answer came a while ago, as a worker stores it."""
    job = gateway.enqueue_request("lincoln", "GET", "/orgs", query={"limit": "1"})
    vault, now = vault_of(gateway.settings), gateway.context.clock.now()
    target = {"method": "GET", "path": "/orgs", "query": {"limit": "1"}, "json": None}
    with gateway.context.database.write() as session:
        row = jobs.lock(session, job.id)
        assert row is not None
        stored = Response(
            job_id=job.id,
            status=status,
            headers={},
            sealed_body=vault.seal(body, f"responses/{job.id}"),
            asked=marks_of(vault, "lincoln", target)[0],
            stored_at=now - ago,
            delete_after=now + MINUTE,
        )
        session.merge(stored)
        jobs.end(session, row, JobState.DONE, now)
    return job


def ask(gateway: Gateway, on_unavailable: str, path: str = "/orgs", **words: str) -> Job:
    """Ask for the orgs."""
    query = words or {"limit": "1"}
    return gateway.enqueue_request(
        "lincoln", "GET", path, query=query, on_unavailable=on_unavailable
    )


def pause(gateway: Gateway, until: datetime | None = None) -> None:
    """Let the provider take no calls."""
    gateway.providers.control("lincoln").pause(until, actor="ana")


def test_a_provider_that_takes_calls_is_asked(gateway: Gateway) -> None:
    """Whatever is wanted otherwise."""
    for word in ("wait", "fail", "stale"):
        assert ask(gateway, word).is_new
    assert gateway.providers.hold("lincoln") is None


def test_waiting_is_the_usual(gateway: Gateway) -> None:
    """A paused provider's work is accepted."""
    pause(gateway)
    assert ask(gateway, "wait").is_new
    assert gateway.sync("lincoln", "orgs").is_new


def test_failing_at_once_tells_the_time_of_the_next_probe(gateway: Gateway) -> None:
    """A pause with an end; and nothing was accepted."""
    until = gateway.context.clock.now() + 10 * MINUTE
    pause(gateway, until)
    for attempt in (
        lambda: ask(gateway, "fail"),
        lambda: gateway.sync("lincoln", "orgs", on_unavailable="fail"),
    ):
        with pytest.raises(ProviderHeld, match="is paused") as held:
            attempt()
        assert held.value.detail["reason"] == "paused"
        told = datetime.fromisoformat(held.value.detail["next_probe_at"])
        assert abs(told - until) < timedelta(seconds=1)
        assert 590 < held.value.seconds < 601
    assert gateway.jobs.list() == []


def test_what_only_a_person_ends_has_no_time(gateway: Gateway) -> None:
    """A pause without end: it says so, and when it is worth asking again."""
    pause(gateway)
    with pytest.raises(ProviderHeld, match="until somebody releases it") as held:
        ask(gateway, "fail")
    assert "next_probe_at" not in held.value.detail
    assert held.value.seconds == 60


def test_a_block_of_the_provider_holds_it(gateway: Gateway) -> None:
    """Retry-After is kept by the whole fleet, and told to who does not want to wait for it."""
    gateway.context.limiter.block("lincoln", 120.0, "answered 429")
    with pytest.raises(ProviderHeld) as held:
        ask(gateway, "fail")
    assert held.value.detail["reason"] == "blocked"
    assert 110 < held.value.seconds < 121


def test_open_breakers_hold_it_until_the_probe_is_due(gateway: Gateway) -> None:
    """Pinned open for a while, or for ever."""
    until = gateway.context.clock.now() + MINUTE
    gateway.providers.breakers("lincoln").set("open", until=until, actor="ana")
    with pytest.raises(ProviderHeld, match="circuit breaker") as held:
        ask(gateway, "fail")
    # The fleet's clock is estimated anew now and then, and may step back by a few milliseconds.
    assert 50 < held.value.seconds < 61
    gateway.providers.breakers("lincoln").set("open", actor="ana")
    with pytest.raises(ProviderHeld) as held:
        ask(gateway, "fail")
    assert "next_probe_at" not in held.value.detail
    gateway.providers.breakers("lincoln").set("auto", actor="ana")
    assert ask(gateway, "fail").is_new, "a probe is due, and this call may be it"


def test_the_last_good_answer_comes_with_its_age(gateway: Gateway) -> None:
    """The newest good one to the same question, as the handle of its job and as an answer."""
    answered(gateway, b"old", 20 * MINUTE)
    newest = answered(gateway, b"new", 10 * MINUTE)
    answered(gateway, b"refused", MINUTE, status=404)
    pause(gateway)
    job = ask(gateway, "stale")
    assert (job.id, job.is_new, job.is_stale) == (newest.id, False, True)
    answer = gateway.request(
        "lincoln", "GET", "/orgs", query={"limit": "1"}, on_unavailable="stale"
    )
    assert (answer.body, answer.is_stale) == (b"new", True)
    assert answer.age_seconds is not None
    assert 600 <= answer.age_seconds < 660
    assert not newest.answer().is_stale


def test_another_question_has_no_old_answer(gateway: Gateway) -> None:
    """Another path, another query: then it fails at once, as there is nothing to give."""
    answered(gateway, b"it", MINUTE)
    pause(gateway)
    for path, limit in (("/classes", "1"), ("/orgs", "2")):
        with pytest.raises(ProviderHeld, match="No old response"):
            ask(gateway, "stale", path, limit=limit)


def test_one_apps_answer_is_never_given_to_another(gateway: Gateway) -> None:
    """Who may see what differs between apps."""
    answered(gateway, b"it", MINUTE)
    pause(gateway)
    other = Gateway(gateway.settings.model_copy(update={"app_name": "other"}))
    with pytest.raises(ProviderHeld):
        ask(other, "stale")
    other.close()


def test_a_request_that_fails_gives_the_old_answer_too(gateway: Gateway) -> None:
    """Before the breaker has opened: no answer in time is no answer."""
    answered(gateway, b"it", MINUTE)
    answer = gateway.request(
        "lincoln", "GET", "/orgs", query={"limit": "1"}, timeout=0.2, on_unavailable="stale"
    )
    assert (answer.body, answer.is_stale) == (b"it", True)


def test_what_was_synced_before_is_told_with_its_age(gateway: Gateway) -> None:
    """The job of the last sync, and how old the records are; without one it fails at once."""
    first = gateway.sync("lincoln", "orgs")
    now = gateway.context.clock.now()
    with gateway.context.database.write() as session:
        datasets.lock(session, "lincoln", "orgs").synced_at = now - 10 * MINUTE
        row = jobs.lock(session, first.id)
        assert row is not None
        jobs.end(session, row, JobState.DONE, now)
    pause(gateway)
    job = gateway.sync("lincoln", "orgs", on_unavailable="stale")
    assert (job.id, job.is_stale) == (first.id, True)
    assert job.age_seconds is not None
    assert 600 <= job.age_seconds < 660
    with pytest.raises(ProviderHeld):
        gateway.sync("lincoln", "classes", on_unavailable="stale")


def test_what_cannot_be_is_refused(gateway: Gateway) -> None:
    """A word that is none, and an old answer to what changes something."""
    with pytest.raises(UsageError, match="wait, fail, stale"):
        ask(gateway, "maybe")
    with pytest.raises(UsageError, match="wait, fail, stale"):
        gateway.sync("lincoln", "orgs", on_unavailable="maybe")
    with pytest.raises(UsageError, match="is for GET"):
        gateway.enqueue_request("lincoln", "POST", "/orgs", on_unavailable="stale")
