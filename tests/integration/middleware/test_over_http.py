"""The middleware of an app that has neither database nor Redis: it asks the HTTP service."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Annotated, Any

import pytest
import requests
from fastapi import Depends, FastAPI

from sisgate import Gateway
from sisgate.client import HttpGateway
from sisgate.clock import SystemClock, poll_until
from sisgate.errors import SisgateError
from sisgate.integrations.fastapi import (
    CallOptions,
    SISGateMiddleware,
    answer_with_problem,
    gateway_of,
)
from sisgate.settings import Settings
from testbed.asgi_server import AsgiServer
from testbed.caller import Caller
from testbed.heartbeats import be_heard
from testbed.http_server import Asked, Reply, json_reply
from testbed.sis import Sis
from testbed.web_service import WebService

CLOCK = SystemClock()
PATIENT = CallOptions(timeout=60, keep=0)


@pytest.fixture
def service(gateway: Gateway, installation: Settings) -> Iterator[WebService]:
    """The service, which wants tokens."""
    closed = installation.model_copy(update={"access": "tokens"})
    with WebService(Gateway(closed, database=gateway.context.database)) as service:
        yield service


@pytest.fixture
def _portal(
    service: WebService, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """All that the app's environment says: where the service is, and its token."""
    token = gateway.tokens.add("portal", ["app"]).token
    assert token is not None
    monkeypatch.chdir(tmp_path / "..")  # no configuration here
    monkeypatch.setenv("SISGATE_URL", service.url)
    monkeypatch.setenv("SISGATE_TOKEN", token.get_secret_value())


def app_of(**words: Any) -> FastAPI:
    """Return an app with the middleware, and a route that asks by itself."""
    app = FastAPI()
    app.add_middleware(SISGateMiddleware, **words)
    app.add_exception_handler(SisgateError, answer_with_problem)

    @app.get("/orgs")
    def orgs(gateway: Annotated[Any, Depends(gateway_of)]) -> Any:
        answer = gateway.request("lincoln", "GET", "/orgs", timeout=30, purpose="a look")
        return [type(gateway).__name__, answer.status, answer.json()]

    @app.get("/wrong")
    def wrong(gateway: Annotated[Any, Depends(gateway_of)]) -> None:
        gateway.job("no-such-job")

    return app


@pytest.mark.usefixtures("_portal", "caller")
def test_url_and_token_are_all_that_the_app_needs(sis: Sis, gateway: Gateway) -> None:
    """The provider's answer comes back byte by byte, links to it lead here, the token has asked."""
    sis.reply = lambda asked: json_reply(
        {"orgs": []}, 200 if asked.method == "GET" else 201, ETag='"7"',
        Location=f"{sis.url}/base/orgs/7?a=b",
    )  # fmt: skip
    with AsgiServer(app_of(options=PATIENT, name="ignored")) as app, requests.Session() as http:
        got = http.get(f"{app.url}/sis/lincoln/orgs?b=1&b=2")
        assert (got.status_code, got.json(), got.headers["etag"]) == (200, {"orgs": []}, '"7"')
        posted = http.post(f"{app.url}/sis/lincoln/orgs", data=b"\x00\xff")
        assert (posted.status_code, posted.headers["location"]) == (201, "/sis/lincoln/orgs/7?a=b")
        assert sis.asked[0].target == "/base/orgs?b=1&b=2"
        assert sis.asked[1].body == b"\x00\xff"
        assert http.get(f"{app.url}/orgs").json() == ["HttpGateway", 200, {"orgs": []}]
        unknown = http.get(f"{app.url}/wrong")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_job")
        nowhere = http.get(f"{app.url}/sis/nowhere/orgs")
        assert (nowhere.status_code, nowhere.json()["code"]) == (404, "unknown_provider")
    assert {job.app for job in gateway.jobs.list()} == {"portal"}


def test_a_token_of_the_app_that_is_refused_is_no_fault_of_its_caller(
    service: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500, and no 401 that asks the caller to log in; which token, is for the log."""
    monkeypatch.setenv("SISGATE_URL", service.url)
    monkeypatch.delenv("SISGATE_TOKEN", raising=False)
    with AsgiServer(app_of(options=PATIENT)) as app:
        refused = requests.get(f"{app.url}/sis/lincoln/orgs", timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (500, "configuration")
    assert "www-authenticate" not in refused.headers
    assert "SISGATE_TOKEN" not in refused.text


@pytest.mark.usefixtures("_portal")
def test_a_call_that_is_late_is_a_job_whose_place_answers_in_the_end(
    gateway: Gateway, installation: Settings
) -> None:
    """202 with its place; withdrawn if nothing is kept."""
    be_heard(gateway)
    late = app_of(options=CallOptions(timeout=0.2, keep=60))
    withdrawn = app_of(options=CallOptions(timeout=0.2, keep=0))
    with AsgiServer(late) as app, AsgiServer(withdrawn) as other, requests.Session() as http:
        first = http.get(f"{app.url}/sis/lincoln/orgs")
        assert (first.status_code, first.json()["state"]) == (202, "running")
        place = f"{app.url}{first.headers['location']}"
        assert http.get(place).status_code == 202
        gone = http.get(f"{other.url}/sis/lincoln/orgs")
        assert (gone.status_code, gone.json()["code"]) == (504, "job_expired")
        with Caller(installation):
            ended = lambda: http.get(place, headers={"Prefer": "wait=5"}).status_code  # noqa: E731
            assert poll_until(lambda: ended() == 200, clock=CLOCK, timeout_seconds=60)
    foreign = gateway.enqueue_request("lincoln", "GET", "/orgs").id
    with AsgiServer(late) as app:
        assert requests.get(f"{app.url}/sis/-/jobs/{foreign}", timeout=60).status_code == 404


def test_a_caller_who_waits_longer_than_the_service_lets_it_gets_a_problem(
    gateway: Gateway, installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """504 at its time, where an old answer would have done as well."""
    be_heard(gateway)
    web = installation.web.model_copy(update={"longest_wait_seconds": 1})
    closed = installation.model_copy(update={"access": "tokens", "web": web})
    token = gateway.tokens.add("portal", ["app"]).token
    assert token is not None
    monkeypatch.setenv("SISGATE_TOKEN", token.get_secret_value())
    with WebService(Gateway(closed, database=gateway.context.database)) as service:
        monkeypatch.setenv("SISGATE_URL", service.url)
        options = CallOptions(timeout=1.3, keep=0, on_unavailable="stale")
        with AsgiServer(app_of(options=options)) as app:
            late = requests.get(f"{app.url}/sis/lincoln/orgs", timeout=60)
    assert (late.status_code, late.json()["code"]) == (504, "job_expired")


@pytest.mark.usefixtures("caller")
def test_a_refusal_that_takes_longer_than_the_service_lets_anyone_wait_is_an_answer(
    gateway: Gateway, installation: Settings, sis: Sis
) -> None:
    """As with the gateway itself, whose callers get any answer of the provider."""
    goes_on = threading.Event()

    def late(_: Asked) -> Reply:
        goes_on.wait(60)
        return json_reply({}, 404)

    sis.reply = late
    web = installation.web.model_copy(update={"longest_wait_seconds": 1})
    patient = installation.model_copy(update={"web": web})
    with WebService(Gateway(patient, database=gateway.context.database)) as service:
        remote = HttpGateway(service.url)
        with remote, ThreadPoolExecutor(1) as pool:
            asked = pool.submit(remote.request, "lincoln", "GET", "/orgs", timeout=60)
            with suppress(TimeoutError):
                asked.result(2)
            goes_on.set()
            assert asked.result(60).status == 404


@pytest.mark.usefixtures("_portal")
def test_many_wait_at_once_and_identical_ones_share_a_call(
    gateway: Gateway, installation: Settings, sis: Sis
) -> None:
    """More than the app has threads for its own routes."""
    be_heard(gateway)
    patient = CallOptions(timeout=60, keep=0, max_age=0)
    with AsgiServer(app_of(options=patient)) as app, ThreadPoolExecutor(60) as pool:
        asked = [
            pool.submit(requests.get, f"{app.url}/sis/lincoln/orgs?n={n % 50}", timeout=120)
            for n in range(60)
        ]
        count = lambda: len(gateway.jobs.list(limit=100))  # noqa: E731
        assert poll_until(lambda: count() == 50, clock=CLOCK, timeout_seconds=60)
        with Caller(installation):
            answers = [each.result() for each in asked]
    assert {each.status_code for each in answers} == {200}
    assert len(sis.asked) == 50


def test_without_the_service_the_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which names no host: that is for the log."""
    monkeypatch.setenv("SISGATE_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("SISGATE_TOKEN", raising=False)
    with AsgiServer(app_of(options=PATIENT)) as app:
        away = requests.get(f"{app.url}/sis/lincoln/orgs", timeout=60)
    assert (away.status_code, away.json()["code"]) == (503, "service_unavailable")
    assert "127.0.0.1" not in away.text


def test_it_loads_neither_database_nor_redis() -> None:
    """An app over HTTP starts fast, and needs no driver."""
    program = (
        "import json, sys\nfrom fastapi import FastAPI\n"
        "from sisgate.integrations.fastapi import SISGateMiddleware, gateway_of\n"
        "from sisgate.client import HttpGateway\n"
        "SISGateMiddleware(FastAPI(), HttpGateway('http://localhost:9'))\n"
        "print(json.dumps([m for m in ('sqlalchemy', 'redis', 'celery') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert json.loads(done.stdout) == []
