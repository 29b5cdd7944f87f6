"""What a provider's failures do to a sync: waiting, trying again, or failing with its words."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import pytest
from sqlalchemy import select

from sisgate.errors import JobFailed
from sisgate.gateway import AlertStatus
from sisgate.ledger import schema as tables
from testbed.chat import Chat
from testbed.stack import ALERTS_EVERY_SECONDS, Stack, wait_until

NAME = "infinite_campus"


@pytest.fixture
def chat(sqlite_stack: Stack) -> Iterator[Chat]:
    """What the alerts' channel `ops` of the stack sends to, for the length of a test."""
    chat = Chat()
    with chat.server:
        sqlite_stack.chat_url_file.write_text(chat.url, "utf-8")
        yield chat
        sqlite_stack.chat_url_file.unlink()


def now(stack: Stack) -> datetime:
    """Return the time of the fleet."""
    return stack.gateway.context.clock.now()


def test_a_429_is_waited_for_as_long_as_it_says(sqlite_stack: Stack) -> None:
    """Retry-After is honoured: counted as throttled, no try spent, and then it goes on."""
    sqlite_stack.fresh(NAME, fail_next=[{"status": 429, "retry_after": "2", "path": "orgs"}])
    status = sqlite_stack.sync(NAME, "orgs", mode="full")
    assert (status.state, status.throttled, status.calls_made) == ("done", 1, 2)
    with sqlite_stack.gateway.context.database.read() as session:
        call = session.scalars(select(tables.Call).where(tables.Call.job_id == status.id)).one()
        attempts = session.scalars(
            select(tables.Attempt)
            .where(tables.Attempt.call_id == call.id)
            .order_by(tables.Attempt.number)
        ).all()
    assert call.tries == 0
    first, second = attempts
    assert first.ended_at is not None
    assert (second.started_at - first.ended_at).total_seconds() >= 1.9


def test_a_server_error_is_tried_again(sqlite_stack: Stack) -> None:
    """5xx spends a try and waits a little."""
    sqlite_stack.fresh(NAME, fail_next=[500, {"status": 503, "retry_after": "1"}])
    status = sqlite_stack.sync(NAME, "terms", mode="full")
    assert (status.state, status.complete, status.calls_made) == ("done", True, 3)


def test_a_refusal_fails_at_once_with_the_providers_words(sqlite_stack: Stack) -> None:
    """404: one call, and the error has its message, status and request id."""
    sqlite_stack.fresh(NAME, fail_next=[{"status": 404, "path": "orgs"}])
    job = sqlite_stack.gateway.sync(NAME, "orgs", mode="full")
    with pytest.raises(JobFailed) as failed:
        job.wait(60)
    detail = failed.value.detail
    assert detail["status"] == 404
    assert str(detail["request_id"]).startswith(NAME)
    assert "404" in str(failed.value)
    assert job.status().calls_made == 1


def test_a_missing_permission_is_told_and_not_tried_again(sqlite_stack: Stack) -> None:
    """A 403 names what lacks; no second token is fetched for it."""
    sqlite_stack.fresh(NAME, deny=["courses"])
    before = sqlite_stack.sandbox.stats(NAME)["token_calls"]
    status = sqlite_stack.sync(NAME, "courses", mode="full")
    assert (status.state, status.calls_made) == ("failed", 1)
    assert status.error is not None
    assert status.error["status"] == 403
    assert sqlite_stack.sandbox.stats(NAME)["token_calls"] <= before + 1


def test_an_expired_token_is_fetched_once_for_the_fleet(stack: Stack) -> None:
    """Many calls meet the expired token in the middle of a sync: one new token, nothing lost."""
    name = "oneroster"
    stack.fresh(name, latency_ms=20)
    assert stack.sync(name, "orgs", mode="full").state == "done"
    before = stack.sandbox.stats(name)["tokens_issued"]
    job = stack.gateway.sync(name, "enrollments", mode="full")
    wait_until(lambda: job.status().rows_seen > 40, "some pages")
    stack.sandbox.expire_tokens(name)
    status = job.wait(60)
    assert (status.state, status.complete) == ("done", True)
    assert len(stack.ids(name, "enrollments")) == status.rows_seen - overlaps(stack, status.id)
    assert stack.sandbox.stats(name)["tokens_issued"] == before + 1


def overlaps(stack: Stack, job_id: str) -> int:
    """Return how many rows came twice because pages overlap by one."""
    with stack.gateway.context.database.read() as session:
        pages = session.scalars(select(tables.Call).where(tables.Call.job_id == job_id)).all()
    return len([page for page in pages if page.rows]) - 1


def test_a_token_that_is_always_refused_fails_the_job(sqlite_stack: Stack) -> None:
    """A new token that is called expired as well is not fetched for ever."""
    sqlite_stack.fresh(NAME, token_lifetime_seconds=0.001)
    sqlite_stack.sandbox.expire_tokens(NAME)
    status = sqlite_stack.sync(NAME, "orgs", mode="full")
    assert status.state == "failed"
    assert status.calls_made == 2


def test_a_cancelled_sync_stops_and_keeps_what_came(stack: Stack) -> None:
    """No further call is made; nothing is deleted; the feed stays readable."""
    name = "oneroster"
    stack.fresh(name, latency_ms=50)
    job = stack.gateway.sync(name, "enrollments", mode="full")
    wait_until(lambda: job.status().rows_seen > 0, "a page")
    job.cancel()
    wait_until(lambda: job.status().calls.get("running", 0) == 0, "calls under way end")
    calls = stack.sandbox.stats(name)["arrivals"]
    status = job.status()
    assert (status.state, status.deleted) == ("cancelled", 0)
    assert set(status.calls) <= {"done", "cancelled"}
    assert stack.sync(name, "orgs").state == "done"
    assert stack.sandbox.stats(name)["arrivals"] == calls + 1
    assert len(stack.changes(name, "enrollments")) == len(stack.ids(name, "enrollments"))


def test_an_outage_is_told_once_and_so_is_its_end(sqlite_stack: Stack, chat: Chat) -> None:
    """Within two evaluations each, though the channel is down in between; flaps add nothing."""
    stack, name, alerts = sqlite_stack, "skyward", sqlite_stack.gateway.alerts
    stack.fresh(name)

    def ask() -> None:
        stack.gateway.enqueue_request(name, "GET", "/ims/oneroster/v1p2/orgs", timeout=600)

    def firing() -> Sequence[AlertStatus]:
        ask()
        found = alerts.list(provider=name)
        return [each for each in found if each.rule == "provider" and each.state.is_firing]

    for _ in range(3):
        ask()
    wait_until(lambda: stack.sandbox.stats(name)["arrivals"] >= 3, "some good answers")
    chat.is_down = True
    stack.sandbox.knobs(name, error_rate=1.0)
    begun = now(stack)
    wait_until(firing, "the outage fires")
    (alert,) = firing()
    assert (alert.cause, alert.culprit) == ("provider_down", f"provider {name}")
    assert alert.fired_at is not None
    assert (alert.fired_at - begun).total_seconds() <= 2 * ALERTS_EVERY_SECONDS + 1
    stack.sandbox.knobs(name, error_rate=0.0)
    ended = now(stack)
    wait_until(lambda: not firing(), "it resolves")
    resolved = alerts.get(alert.id)
    assert resolved.resolved_at is not None
    # A breaker lets a probe through each second.
    assert (resolved.resolved_at - ended).total_seconds() <= 2 * ALERTS_EVERY_SECONDS + 3
    chat.is_down = False
    alerts.test("ops", actor="test")  # so that what waits is tried now
    wait_until(lambda: "[test] sisgate" in chat.titles, "what waited has come")
    told = chat.titles_of(alert.id)
    assert ["recovered" in each for each in told] == [False, True]
    for number in range(100):
        stack.sandbox.knobs(name, error_rate=(number + 1) % 2)
        ask()
    stack.sandbox.knobs(name, error_rate=0.0)
    wait_until(lambda: not firing(), "it has calmed down")
    assert chat.titles_of(alert.id) == told


def test_a_sync_past_its_deadline_expires(sqlite_stack: Stack) -> None:
    """The deadline ends the job, and whoever waits is told."""
    sqlite_stack.fresh("oneroster", latency_ms=400)
    status = sqlite_stack.sync("oneroster", "enrollments", mode="full", timeout=2)
    assert status.state == "expired"
    assert status.error is not None
    assert "deadline" in status.error["message"]
