"""When the time is up: a job, if the call can still be made; else the call is withdrawn."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests

from sisgate import Gateway
from sisgate.clock import SystemClock, poll_until
from sisgate.domain.states import JobState
from sisgate.integrations.fastapi import CallOptions
from sisgate.settings import Settings
from testbed.caller import Caller
from testbed.heartbeats import be_heard
from testbed.http_server import Asked, Reply, json_reply
from testbed.sis import Sis
from tests.integration.middleware.conftest import MakeApp

CLOCK = SystemClock()
SHORT = CallOptions(timeout=0.2, keep=60)


def test_a_call_that_can_still_be_made_is_a_job(
    serve: MakeApp, gateway: Gateway, installation: Settings, sis: Sis, http: requests.Session
) -> None:
    """Its place tells what became of it, and in the end the provider's answer."""
    be_heard(gateway)
    url = serve(options=SHORT)
    late = http.get(f"{url}/sis/lincoln/orgs")
    assert late.status_code == 202
    assert int(late.headers["retry-after"]) >= 1
    place = late.headers["location"]
    assert place == f"/sis/-/jobs/{late.json()['job']}"
    assert http.get(f"{url}{place}").status_code == 202
    sis.reply = lambda _: json_reply({"orgs": [7]}, 203, ETag="x")
    with Caller(installation):
        assert poll_until(
            lambda: http.get(f"{url}{place}", headers={"Prefer": "wait=5"}).status_code != 202,
            clock=CLOCK, timeout_seconds=60,
        )  # fmt: skip
        answer = http.get(f"{url}{place}")
    assert (answer.status_code, answer.json(), answer.headers["etag"]) == (203, {"orgs": [7]}, "x")
    assert answer.headers["x-sis-job"] == late.json()["job"]


def test_a_call_that_cannot_be_made_in_time_is_withdrawn(
    serve: MakeApp, gateway: Gateway, http: requests.Session
) -> None:
    """The provider is paused for longer, or nobody makes calls at all."""
    url = serve(options=SHORT)
    nobody = http.get(f"{url}/sis/lincoln/orgs")
    assert nobody.status_code == 504
    assert nobody.headers["content-type"] == "application/problem+json"
    be_heard(gateway)
    gateway.providers.control("lincoln").pause(CLOCK.now() + timedelta(hours=1), actor="ana")
    held = http.get(f"{url}/sis/lincoln/orgs")
    assert held.status_code == 504
    assert "takes calls again at" in held.json()["detail"]
    assert 1 <= int(held.headers["retry-after"]) <= 3600
    assert {job.state for job in gateway.jobs.list()} == {JobState.EXPIRED}
    last = gateway.jobs.list()[0]
    assert (last.error or {})["cause"] == "paused"


def test_with_nothing_kept_the_call_is_withdrawn(
    serve: MakeApp, gateway: Gateway, http: requests.Session
) -> None:
    """The caller is told, and may ask again."""
    be_heard(gateway)
    answer = http.get(f"{serve(options=CallOptions(timeout=0.2, keep=0))}/sis/lincoln/orgs")
    assert answer.status_code == 504
    assert answer.json()["code"] == "job_expired"
    (job,) = gateway.jobs.list()
    assert job.state is JobState.EXPIRED


def test_what_may_be_carried_out_is_not_withdrawn(
    gateway: Gateway, installation: Settings, sis: Sis
) -> None:
    """A POST under way whose caller waits no longer is of unknown outcome, a GET expires."""
    go_on = threading.Event()

    def late(_: Asked) -> Reply:
        go_on.wait(60)
        return json_reply({})

    sis.reply = late
    with Caller(installation):
        jobs = [
            gateway.enqueue_request("lincoln", method, "/orgs").id for method in ("POST", "GET")
        ]
        assert poll_until(lambda: len(sis.asked) == 2, clock=CLOCK, timeout_seconds=60)
        states = [gateway.jobs.withdraw(job).state for job in jobs]
        go_on.set()
    assert states == [JobState.UNKNOWN, JobState.EXPIRED]


def test_a_caller_may_choose_not_to_wait(
    serve: MakeApp, gateway: Gateway, http: requests.Session
) -> None:
    """RFC 7240."""
    be_heard(gateway)
    url = serve(options=CallOptions(timeout=60))
    answer = http.get(f"{url}/sis/lincoln/orgs", headers={"Prefer": "respond-async"}, timeout=20)
    assert answer.status_code == 202


def test_a_held_provider_is_refused_at_once_if_the_app_wants_it(
    serve: MakeApp, gateway: Gateway, http: requests.Session
) -> None:
    """With the time of its next call."""
    gateway.providers.control("lincoln").pause(CLOCK.now() + timedelta(minutes=5), actor="ana")
    url = serve(options=CallOptions(on_unavailable="fail"))
    answer = http.get(f"{url}/sis/lincoln/orgs")
    assert answer.status_code == 503
    assert 290 <= int(answer.headers["retry-after"]) <= 300
    assert answer.json()["code"] == "provider_held"
    assert gateway.jobs.list() == []


def test_an_old_answer_carries_its_age(
    serve: MakeApp, gateway: Gateway, installation: Settings, http: requests.Session
) -> None:
    """And says that it comes from the store (RFC 9211)."""
    url = serve(options=CallOptions(on_unavailable="stale", timeout=30))
    with Caller(installation):
        new = http.get(f"{url}/sis/lincoln/orgs")
    assert new.status_code == 200
    assert "age" not in new.headers
    gateway.providers.control("lincoln").pause(None, actor="ana")
    old = http.get(f"{url}/sis/lincoln/orgs")
    assert (old.status_code, old.content) == (200, new.content)
    assert 0 <= int(old.headers["age"]) < 60
    assert old.headers["cache-status"].startswith("sisgate; hit")
    assert http.post(f"{url}/sis/lincoln/orgs").status_code == 503
    assert http.get(f"{url}/sis/lincoln/other").status_code == 503


def test_identical_requests_share_a_call_where_the_app_says_so(
    serve: MakeApp, gateway: Gateway, installation: Settings, sis: Sis, http: requests.Session
) -> None:
    """And a stored answer that is new enough needs none."""
    be_heard(gateway)
    url = serve(options=CallOptions(timeout=60, max_age=0), accept_headers=True)
    count = 8
    with ThreadPoolExecutor(count) as pool:
        answers = pool.map(lambda _: requests.get(f"{url}/sis/lincoln/orgs"), range(count))
        assert poll_until(
            lambda: sum(job.shared for job in gateway.jobs.list()) == count - 1,
            clock=CLOCK, timeout_seconds=60,
        )  # fmt: skip
        with Caller(installation):
            found = list(answers)
    assert {each.status_code for each in found} == {200}
    assert len(sis.asked) == 1
    told = sorted(each.headers.get("cache-status", "") for each in found)
    assert told == ["", *["sisgate; fwd=miss; collapsed"] * (count - 1)]
    stored = http.get(f"{url}/sis/lincoln/orgs", headers={"X-SIS-Max-Age": "600"})
    assert stored.headers["cache-status"] == "sisgate; hit"
    assert 0 <= int(stored.headers["age"]) < 60
    late = {"X-SIS-Timeout": "0.1"}
    first, second = (http.get(f"{url}/sis/lincoln/users", headers=late) for _ in range(2))
    assert first.status_code == second.status_code == 202
    assert first.headers["location"] == second.headers["location"]
    assert len(sis.asked) == 1


def test_a_caller_that_goes_away_cancels_nothing(
    serve: MakeApp, gateway: Gateway, installation: Settings, sis: Sis
) -> None:
    """The call that it asked for is made, and its answer kept."""
    goes_on = threading.Event()

    def reply(_: object) -> tuple[int, dict[str, str], bytes]:
        assert goes_on.wait(60)
        return json_reply({})  # type: ignore[return-value]

    sis.reply = reply
    port = int(serve(options=CallOptions(timeout=30)).rpartition(":")[2])
    with Caller(installation):
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(b"GET /sis/lincoln/orgs HTTP/1.1\r\nHost: x\r\n\r\n")
            assert poll_until(lambda: bool(sis.asked), clock=CLOCK, timeout_seconds=60)
        goes_on.set()
        (job,) = gateway.jobs.list()
        assert gateway.jobs.wait(job.id, 60).state == JobState.DONE
    assert gateway.answer(job.id).status == 200


def test_only_answers_of_the_app_itself_are_given_out(
    serve: MakeApp, gateway: Gateway, installation: Settings, http: requests.Session
) -> None:
    """Not those of syncs or of other apps, whose ids may stand in a log."""
    url = serve()
    other = Gateway(installation.model_copy(update={"app_name": "other"}))
    others = other.enqueue_request("lincoln", "GET", "/orgs")
    sync = gateway.sync("lincoln", "orgs")
    unknown = "00000000-0000-4000-8000-000000000000"
    for job_id in (others.id, sync.id, unknown, "x"):
        answer = http.get(f"{url}/sis/-/jobs/{job_id}")
        assert answer.status_code == 404
        assert answer.json()["code"] == "unknown_job"
        assert "sisgate jobs" not in answer.text
    own = gateway.enqueue_request("lincoln", "GET", "/orgs")
    assert http.get(f"{url}/sis/-/jobs/{own.id}").status_code == 202
    only_others = serve(providers=["skyward"])
    assert http.get(f"{only_others}/sis/-/jobs/{own.id}").json()["code"] == "unknown_provider"
    other.close()


@pytest.mark.usefixtures("caller")
def test_a_failed_call_is_a_problem_with_its_job(
    serve: MakeApp, sis: Sis, http: requests.Session
) -> None:
    """A POST that was sent, and whose response cannot be read: nobody knows what became of it."""
    sis.reply = lambda _: (200, {"Content-Encoding": "gzip"}, b"no gzip")
    answer = http.post(f"{serve(options=CallOptions(timeout=60))}/sis/lincoln/orgs")
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:sisgate:error:outcome_unknown"
    assert answer.json()["job"]
