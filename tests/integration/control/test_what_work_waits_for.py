"""Somebody at the command line is told what keeps a call from being made, and what to do."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from sisgate import Gateway
from sisgate.cli.invocation import Invocation
from sisgate.cli.main import execute
from sisgate.domain.priorities import Priority
from sisgate.domain.response_class import Outcome
from sisgate.domain.states import CallState
from sisgate.errors import ProviderHeld
from sisgate.gateway import Job
from sisgate.ledger.calls import claim
from sisgate.ledger.schema import Call
from sisgate.liveness.heartbeats import Heartbeats
from sisgate.redis.client import connect
from testbed.heartbeats import WORKER

Run = Callable[..., str]
ASKED = ("request", "lincoln", "GET", "/orgs", "--timeout", "0.1")


@pytest.fixture
def run(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command beside a fleet that is alive; return all that it said."""
    monkeypatch.setattr(Invocation, "gateway", gateway)

    def said(*words: str, code: int = 0) -> str:
        assert execute([*words]) == code, words
        captured = capsys.readouterr()
        return " ".join((captured.out + captured.err).replace("│", " ").split())

    return said


@pytest.mark.parametrize(
    ("seconds", "held", "reason"),
    [(12, False, "lost"), (12, True, None), (12, None, None), (8, False, None)],
)
def test_a_call_whose_worker_is_gone_is_told(
    gateway: Gateway, run: Run, seconds: int, held: bool | None, reason: str | None
) -> None:
    """By the calls that live workers have; not before two heartbeats, nor where one keeps quiet."""
    job = gateway.enqueue_request("open", "GET", "/orgs")
    begun = gateway.context.clock.now() - timedelta(seconds=seconds)
    with gateway.context.database.write() as session:
        (call,) = session.scalars(select(Call.id).where(Call.job_id == job.id))
        claim(session, call, begun, timedelta(seconds=100))
    told = None if held is None else (call,) if held else ()
    heartbeat = replace(WORKER, queues=("sisgate", *gateway.settings.providers), calls=told)
    Heartbeats(gateway.context.redis).send(heartbeat)
    wait = gateway.jobs.waits_for(job.id)
    assert (wait.reason if wait else None) == reason
    if wait is not None:
        assert wait.until == begun + timedelta(seconds=100)
        words = run("jobs", "show", job.id)
        assert "a call whose worker is gone. Another worker takes it up when its lease" in words


def test_an_open_breaker_is_told_as_the_cause(gateway: Gateway, run: Run) -> None:
    """Held by hand with an end and without one: until when, and how to end it."""
    end = gateway.context.clock.now() + timedelta(minutes=30)
    gateway.providers.breakers("lincoln").set("open", until=end, actor="ana")
    words = run(*ASKED, code=75)
    assert "lincoln takes no calls: its breaker is open (held by hand) until 20" in words
    assert "`sisgate breaker lincoln auto`" in words
    assert "longer timeout" not in words
    gateway.providers.breakers("lincoln").set("open", actor="ana")
    assert "(held by hand) indefinitely" in run(*ASKED, code=75)


def test_a_pause_and_a_block_are_told_as_the_cause(gateway: Gateway, run: Run) -> None:
    """The pause with what ends it."""
    gateway.providers.control("lincoln").pause(actor="ana")
    assert "it is paused indefinitely. `sisgate resume lincoln`" in run(*ASKED, code=75)
    gateway.providers.control("lincoln").resume(actor="ana")
    gateway.context.limiter.block("lincoln", 120.0, "answered 429")
    assert "lincoln takes no calls: it asked us to wait until 20" in run(*ASKED, code=75)


def waits_for(run: Run, job: Job) -> tuple[str | None, str | None, str]:
    """Return reason and end of what a job waits for, and what people read."""
    wait = json.loads(run("jobs", "show", job.id, "--json"))["waits_for"]
    words = run("jobs", "show", job.id)
    return (wait["reason"], wait["until"], words) if wait else (None, None, words)


def test_a_job_tells_what_holds_its_provider(gateway: Gateway, run: Run) -> None:
    """Nothing, a pause, a block, a breaker, and nothing again when it has ended."""
    job = gateway.enqueue_request("lincoln", "GET", "/orgs")
    assert waits_for(run, job)[0] is None
    gateway.providers.control("lincoln").pause(actor="ana")
    reason, until, words = waits_for(run, job)
    assert (reason, until) == ("paused", None)
    assert "waits for lincoln, which takes no calls: it is paused" in words
    gateway.providers.control("lincoln").resume(actor="ana")
    end = gateway.context.clock.now() + timedelta(minutes=30)
    gateway.providers.breakers("lincoln").set("open", until=end, actor="ana")
    reason, until, words = waits_for(run, job)
    assert (reason, until is not None) == ("breaker", True)
    assert "(held by hand) until" in words
    gateway.context.limiter.block("lincoln", 7200.0, "answered 429")
    assert waits_for(run, job)[0] == "blocked"
    job.cancel()
    assert waits_for(run, job)[0] is None


def test_an_open_breaker_tells_what_failed(gateway: Gateway, run: Run) -> None:
    """Where work waits for it, and where more of it is refused."""
    config = gateway.context.settings.providers["lincoln"]
    breakers, url = gateway.context.breakers(config), config.endpoints[0].url
    job = gateway.enqueue_request("lincoln", "GET", "/orgs")
    while (token := breakers.ask(url).token) is not None:
        breakers.report(url, token, Outcome.FAILURE)
    with gateway.context.database.write() as session:
        error = {"code": "provider_refused", "message": "The provider answered 503: Moving house."}
        session.query(Call).one().error = error
    failed = "The last failure: The provider answered 503: Moving house."
    reason, _, words = waits_for(run, job)
    assert reason == "breaker"
    assert failed in " ".join(words.split())
    with pytest.raises(ProviderHeld, match=failed):
        gateway.sync("lincoln", "students", on_unavailable="fail")


def test_a_job_tells_when_its_quota_is_expected(gateway: Gateway, run: Run) -> None:
    """With the window used up: when the oldest slot is free again."""
    spec = gateway.providers.control("lincoln").limits
    for permit in gateway.context.limiter.take("lincoln", spec, Priority.URGENT, 100).permits:
        gateway.context.limiter.finish("lincoln", permit)
    job = gateway.enqueue_request("lincoln", "GET", "/orgs")
    reason, until, words = waits_for(run, job)
    assert reason == "quota"
    assert until is not None
    away = datetime.fromisoformat(until) - gateway.context.clock.now()
    assert away.total_seconds() == pytest.approx(3600, rel=0.02)
    assert "waits for quota; its next call is expected at" in words


def test_a_job_tells_of_its_next_try(gateway: Gateway, run: Run) -> None:
    """A call that failed and is to be made again, though it has spent no try: and of what."""
    job = gateway.enqueue_request("lincoln", "GET", "/orgs")
    later = gateway.context.clock.now() + timedelta(minutes=2)
    with gateway.context.database.write() as session:
        call = session.query(Call).one()
        call.state, call.tries, call.not_before = CallState.PLANNED.value, 0, later
        call.error = {"code": "provider_unavailable", "message": "No token came."}
    reason, until, words = waits_for(run, job)
    assert (reason, until) == ("retry", later.isoformat())
    assert "The last one failed: No token came." in " ".join(words.split())


def test_a_job_tells_that_redis_is_down(
    gateway: Gateway, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nothing else matters."""
    job = gateway.enqueue_request("lincoln", "GET", "/orgs")
    nowhere = connect("redis://127.0.0.1:1/0")
    monkeypatch.setattr(gateway.context, "redis", nowhere)
    monkeypatch.setattr(gateway.context, "heartbeats", Heartbeats(nowhere))
    reason, _, words = waits_for(run, job)
    nowhere.close()
    assert reason == "down"
    assert "waits for the fleet. Redis cannot be reached" in words


def test_a_plan_tells_why_its_times_are_not_known(gateway: Gateway, run: Run) -> None:
    """An open breaker without an end, as a pause."""
    gateway.providers.breakers("lincoln").set("open", actor="ana")
    assert "unknown while its breaker is held open" in run("plan", "lincoln", "students")
    gateway.providers.breakers("lincoln").set("auto", actor="ana")
    gateway.providers.control("lincoln").pause(actor="ana")
    assert "unknown while it is paused" in run("plan", "lincoln", "students")
