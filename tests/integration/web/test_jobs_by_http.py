"""What only HTTP has of jobs: places, keys in headers, waiting, events. Else: the contract."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sisgate import Gateway
from sisgate.clock import SystemClock, poll_until
from sisgate.web import streams
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

SYNC = {"provider": "open", "resource": "students"}


def until(ready: Callable[[], bool]) -> None:
    """Wait until it is so."""
    assert poll_until(ready, clock=SystemClock(), timeout_seconds=20)


def test_a_sync_is_accepted_with_the_place_of_its_job(open_service: WebService) -> None:
    """202, and the job can be shown there."""
    accepted = open_service.ask("POST", "/v1/syncs", json={**SYNC, "priority": "high"})
    assert accepted.status_code == 202
    job = accepted.json()
    assert (job["state"], job["priority"], job["is_new"]) == ("accepted", "high", True)
    assert accepted.headers["Location"] == f"/v1/jobs/{job['id']}"
    shown = open_service.ask("GET", accepted.headers["Location"])
    assert shown.status_code == 200
    assert shown.json()["id"] == job["id"]


@pytest.mark.parametrize(
    "job_id", ["  ", "..", "a/b?c#d", "<svg>", "=1+1", "\U0001f600", "find", "bulk"]
)
def test_an_id_that_no_address_can_hold_is_refused_before_the_job_is_accepted(
    open_service: WebService, gateway: Gateway, job_id: str
) -> None:
    """It would break the Location of the answer, or name a job that nobody can ask for."""
    refused = open_service.ask("POST", "/v1/syncs", json={**SYNC, "job_id": job_id})
    assert (refused.status_code, refused.json()["code"]) == (422, "usage")
    assert not gateway.jobs.list()


def test_a_job_of_another_app_does_not_answer_for_its_id(
    service: WebService, make_token: MakeToken
) -> None:
    """Whatever it asked for: otherwise that could be guessed."""
    order = {**SYNC, "job_id": "Nightly-1"}
    own = {"Authorization": f"Bearer {make_token('gradebook', 'app')}"}
    other = {"Authorization": f"Bearer {make_token('library', 'app')}"}
    assert service.ask("POST", "/v1/syncs", json=order, headers=own).status_code == 202
    same, different = (
        service.ask("POST", "/v1/syncs", json=each, headers=other)
        for each in (order, {**order, "resource": "classes"})
    )
    assert same.status_code == different.status_code == 409
    assert same.json() == different.json()


def test_the_same_key_is_the_same_job(open_service: WebService) -> None:
    """In quotes or without; other arguments are a conflict."""
    first = open_service.ask("POST", "/v1/syncs", json=SYNC, headers={"Idempotency-Key": '"k 1"'})
    again = open_service.ask("POST", "/v1/syncs", json=SYNC, headers={"Idempotency-Key": "k 1"})
    assert again.json()["id"] == first.json()["id"]
    assert not again.json()["is_new"]
    other = {**SYNC, "resource": "classes"}
    conflict = open_service.ask("POST", "/v1/syncs", json=other, headers={"Idempotency-Key": "k 1"})
    assert (conflict.status_code, conflict.json()["code"]) == (409, "idempotency_conflict")


def test_waiting_for_a_job_ends_with_it(open_service: WebService, gateway: Gateway) -> None:
    """200 once it has ended, 202 or the state of the moment otherwise."""
    waits = {"Prefer": "wait=30"}
    with ThreadPoolExecutor(2) as threads:
        created = threads.submit(open_service.ask, "POST", "/v1/syncs", json=SYNC, headers=waits)
        until(lambda: bool(gateway.jobs.list()))
        jobs = gateway.jobs.list()
        shown = threads.submit(open_service.ask, "GET", f"/v1/jobs/{jobs[0].id}", headers=waits)
        until(lambda: open_service.app.state.shared.waiting.count == 2)
        gateway.jobs.cancel(jobs[0].id)
        answers = created.result(), shown.result()
    assert [each.status_code for each in answers] == [200, 200]
    assert [each.json()["state"] for each in answers] == ["cancelled"] * 2
    assert {each.headers["Preference-Applied"] for each in answers} == {"wait=30"}
    late = open_service.ask(
        "POST", "/v1/syncs", json=SYNC, headers={"Prefer": "respond-async, wait=1"}
    )
    assert late.status_code == 202
    assert late.headers["Preference-Applied"] == "respond-async, wait=1"


def test_events_tell_of_a_job_until_its_end(open_service: WebService, gateway: Gateway) -> None:
    """The stream ends with the job."""
    job = gateway.sync("open", "students")
    with open_service.ask("GET", f"/v1/jobs/{job.id}/events", stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines(decode_unicode=True)
        names = [next(line for line in lines if line.startswith("event:"))]
        gateway.jobs.cancel(job.id)
        names += [line for line in lines if line.startswith("event:")]
    assert names == ["event: status", "event: ended"]
    assert open_service.ask("GET", "/v1/jobs/none/events").json()["code"] == "unknown_job"


def test_a_reader_that_has_seen_the_end_is_told_not_to_connect_again(
    open_service: WebService, gateway: Gateway
) -> None:
    """A browser connects again whatever the stream said, and repeats the id of the last event."""
    job = gateway.sync("open", "students")
    path, seen = f"/v1/jobs/{job.id}/events", {"Last-Event-ID": "ended"}
    with open_service.ask("GET", path, headers=seen, stream=True) as going_on:
        assert going_on.status_code == 200
    gateway.jobs.cancel(job.id)
    blocks = open_service.ask("GET", path).text.strip().split("\n\n")
    assert [each.partition("data: ")[0] for each in blocks] == [
        "retry: 2000\nevent: ended\nid: ended\n"
    ]
    assert open_service.ask("GET", path, headers=seen).status_code == 204


def test_events_end_with_the_token(
    service: WebService, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of a stream that began before it was revoked, and nothing more is told."""
    monkeypatch.setattr(streams, "PING_SECONDS", 0.05)
    token = gateway.tokens.add("ana", ["operator"])
    assert token.token is not None
    bearer = {"Authorization": f"Bearer {token.token.get_secret_value()}"}
    job = gateway.sync("open", "students")
    with service.ask("GET", f"/v1/jobs/{job.id}/events", headers=bearer, stream=True) as answer:
        lines = answer.iter_lines(decode_unicode=True)
        next(line for line in lines if line == ": still waiting")
        gateway.tokens.revoke(token.id)
        assert not [line for line in lines if line.startswith("event:")]
    assert service.ask("GET", f"/v1/jobs/{job.id}", headers=bearer).status_code == 401


def test_who_waits_is_answered_when_the_service_stops(
    open_service: WebService, gateway: Gateway
) -> None:
    """A long poll with the state of the moment, a stream by its end."""
    job = gateway.sync("open", "students")
    with ThreadPoolExecutor(2) as threads:
        waits = {"Prefer": "wait=60"}
        poll = threads.submit(open_service.ask, "GET", f"/v1/jobs/{job.id}", headers=waits)
        stream = threads.submit(open_service.ask, "GET", f"/v1/jobs/{job.id}/events")
        until(lambda: open_service.app.state.shared.waiting.count == 2)
        open_service.stop()
        assert poll.result(20).json()["state"] == "accepted"
        assert "event: ended" not in stream.result(20).text
