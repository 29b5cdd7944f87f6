"""Jobs over HTTP: accepted, listed, shown, cancelled, retried, answered."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sisgate import Gateway
from sisgate.clock import SystemClock, poll_until
from testbed.web_service import WebService

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


def test_the_same_key_is_the_same_job(open_service: WebService) -> None:
    """In quotes or without; other arguments are a conflict."""
    first = open_service.ask("POST", "/v1/syncs", json=SYNC, headers={"Idempotency-Key": '"k 1"'})
    again = open_service.ask("POST", "/v1/syncs", json=SYNC, headers={"Idempotency-Key": "k 1"})
    assert again.json()["id"] == first.json()["id"]
    assert not again.json()["is_new"]
    other = {**SYNC, "resource": "classes"}
    conflict = open_service.ask("POST", "/v1/syncs", json=other, headers={"Idempotency-Key": "k 1"})
    assert (conflict.status_code, conflict.json()["code"]) == (409, "idempotency_conflict")


def test_many_jobs_are_accepted_together_or_not_at_all(open_service: WebService) -> None:
    """The problem names the item."""
    request = {"kind": "request", "provider": "open", "method": "GET", "path": "/x"}
    good = open_service.ask("POST", "/v1/jobs", json={"items": [{"kind": "sync", **SYNC}, request]})
    assert good.status_code == 202
    assert len(good.json()["jobs"]) == 2
    bad = open_service.ask(
        "POST", "/v1/jobs", json={"items": [request, {**request, "provider": "none"}]}
    )
    assert (bad.status_code, bad.json()["code"], bad.json()["index"]) == (
        404, "unknown_provider", 1
    )  # fmt: skip
    assert len(open_service.ask("GET", "/v1/jobs").json()["jobs"]) == 2


def test_a_list_goes_on_where_its_page_ended(open_service: WebService) -> None:
    """By the cursor that it gives, with the filters that are asked for."""
    for n in range(5):
        key = {"Idempotency-Key": str(n)}
        open_service.ask("POST", "/v1/syncs", json=SYNC, headers=key)
    ids, cursor = [], None
    while True:
        query = {"limit": 2, "state": ["accepted", "running"], "provider": "open", "cursor": cursor}
        page = open_service.ask("GET", "/v1/jobs", params=query).json()
        ids += [job["id"] for job in page["jobs"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(ids) == len(set(ids)) == 5
    assert open_service.ask("GET", "/v1/jobs?state=done").json() == {"jobs": [], "next": None}
    assert open_service.ask("GET", "/v1/jobs?cursor=x").json()["code"] == "usage"


def test_a_job_is_cancelled_and_retried(open_service: WebService) -> None:
    """A second cancellation is a conflict, a second retry the same job."""
    job = open_service.ask("POST", "/v1/syncs", json=SYNC).json()["id"]
    assert open_service.ask("POST", f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert open_service.ask("POST", f"/v1/jobs/{job}/cancel").status_code == 409
    retried = open_service.ask("POST", f"/v1/jobs/{job}/retry")
    assert retried.status_code == 202
    again = open_service.ask("POST", f"/v1/jobs/{job}/retry").json()
    assert again["id"] == retried.json()["id"]
    assert open_service.ask("GET", f"/v1/jobs/{job}").json()["retried_as"] == again["id"]


def test_what_a_job_is_and_waits_for_can_be_asked(open_service: WebService) -> None:
    """Target, forecast, reason; an answer only where there is one."""
    order = {"provider": "open", "method": "GET", "path": "/x", "query": {"limit": "5"}}
    job = open_service.ask("POST", "/v1/requests", json=order).json()["id"]
    target = open_service.ask("GET", f"/v1/jobs/{job}/target").json()
    assert (target["method"], target["path"], target["query"]) == ("GET", "/x", {"limit": "5"})
    assert open_service.ask("GET", f"/v1/jobs/{job}/forecast").json()["calls"] == 1
    assert open_service.ask("GET", f"/v1/jobs/{job}/wait").json() == {"wait": None}
    assert open_service.ask("GET", f"/v1/jobs/{job}/answer").json()["code"] == "invalid_state"


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
