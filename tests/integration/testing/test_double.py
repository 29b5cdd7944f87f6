"""The gateway of apps' tests, where it differs from a real one: the test says what happens."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
import requests
from fastapi import Depends, FastAPI

from sisgate import Gateway
from sisgate.errors import AccessDenied, JobExpired, JobFailed, UnknownProvider
from sisgate.integrations.fastapi import CallOptions, SISGateMiddleware, gateway_of
from sisgate.testing import GatewayDouble
from testbed.asgi_server import AsgiServer


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[GatewayDouble]:
    """A double, while nothing may be connected to."""

    def refuse(_self: socket.socket, address: object) -> None:
        pytest.fail(f"the double connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with GatewayDouble(app="portal") as double:
        yield double


def test_providers_are_small_districts_unless_the_test_says_something_else(
    double: GatewayDouble,
) -> None:
    """Of each of the kinds; whoever waits works."""
    gateway = double.gateway
    for provider in ("powerschool", "infinite_campus", "skyward"):
        status = gateway.sync(provider, "students").wait()
        assert (status.state, status.complete, status.inserted, status.app) == (
            "done", True, 12, "portal",
        )  # fmt: skip
        assert len(list(gateway.records(provider, "students"))) == 12
    double.answer("powerschool", "/ws/v1/district", json={"district": "mine"}, times=1)
    first, second = (
        gateway.request("powerschool", "GET", "/ws/v1/district").json()["district"]
        for _ in range(2)
    )
    assert first == "mine"
    assert second != "mine"
    sent = double.sent[-1]
    assert (sent.provider, sent.method, sent.path) == ("powerschool", "GET", "/ws/v1/district")
    assert "authorization" not in sent.headers


def test_answers_are_said_by_path_method_and_number(double: GatewayDouble) -> None:
    """The last one first; what was sent can be looked at."""
    double.answer("skyward", "/x/*", json={"n": 1})
    double.answer("skyward", "/x/y", body=b"\x00\xff", status=201, method="post")
    assert double.gateway.request("skyward", "GET", "/x/y").json() == {"n": 1}
    created = double.gateway.request("skyward", "POST", "/x/y", json={"a": [1]})
    assert (created.status, created.body) == (201, b"\x00\xff")
    assert double.sent[-1].json() == {"a": [1]}
    assert double.gateway.request("skyward", "HEAD", "/x/z").body == b""
    with pytest.raises(UnknownProvider):
        double.answer("nowhere", "/x")


def test_a_quota_is_spent_and_comes_back_with_time(double: GatewayDouble) -> None:
    """By the real limiter: hours pass at once."""
    double.set_quota("infinite_campus", 2)
    jobs = [double.gateway.enqueue_request("infinite_campus", "GET", "/x") for _ in range(3)]
    begun = double.clock.now()
    assert double.work() == 2
    assert [job.status().is_final for job in jobs] == [True, True, False]
    wait = double.gateway.jobs.waits_for(jobs[2].id)
    assert wait is not None
    assert wait.reason == "quota"
    assert double.finish(jobs[2]).is_final
    passed = double.clock.now() - begun
    assert timedelta(minutes=25) < passed < timedelta(hours=1)
    double.set_quota("infinite_campus", 0)
    with pytest.raises(JobExpired, match="could not be called in time"):
        double.gateway.request("infinite_campus", "GET", "/x", timeout=5)


def test_a_failing_provider_opens_its_breaker_and_recovers(double: GatewayDouble) -> None:
    """By the real rules, and without waiting for them."""
    double.answer("powerschool", "/x", status=503, json={})
    double.answer("powerschool", "/y", error=requests.ConnectionError("reset"))
    jobs = [double.gateway.enqueue_request("powerschool", "GET", p) for p in ["/x", "/y"] * 6]
    double.move(timedelta(seconds=20))
    hold = double.gateway.providers.hold("powerschool")
    assert hold is not None
    assert (hold.reason, hold.by_hand) == ("breaker", False)
    double.answer("powerschool", "/x", json={"well": True})
    double.answer("powerschool", "/y", json={"well": True})
    assert {double.finish(job).state for job in jobs} == {"done"}
    assert double.gateway.providers.hold("powerschool") is None


def test_breakers_and_pauses_are_set_by_the_test(double: GatewayDouble) -> None:
    """A wait without end says so instead of hanging."""
    double.open_breaker("skyward")
    job = double.gateway.enqueue_request("skyward", "GET", "/x")
    with pytest.raises(TimeoutError):
        job.wait(timeout=3600)
    with pytest.raises(AssertionError, match="Nothing would ever end this wait"):
        double.finish(job)
    double.close_breaker("skyward")
    assert double.finish(job).is_final
    until = double.clock.now() + timedelta(hours=2)
    double.pause("skyward", until)
    later = double.gateway.enqueue_request("skyward", "GET", "/x")
    double.finish(later)
    assert double.clock.now() > until
    double.pause("skyward")
    double.resume("skyward")
    assert double.gateway.request("skyward", "GET", "/nothing").status == 404


def test_without_workers_jobs_wait(double: GatewayDouble) -> None:
    """And expire in their time."""
    with double.stopped_workers():
        job = double.gateway.sync("skyward", "students", timeout=60)
        with pytest.raises(TimeoutError):
            job.wait(timeout=30)
        assert double.sent == []
        hopeless = double.gateway.sync("skyward", "orgs", timeout=5)
        double.move(timedelta(seconds=10))
    double.work()
    with pytest.raises(JobExpired):
        hopeless.wait()
    assert double.finish(job).state == "done"


def test_other_callers_have_their_own_rights(double: GatewayDouble) -> None:
    """As a token gives them."""
    viewer = double.gateway_of("ana", ["viewer"], scopes=["skyward"])
    job = double.gateway.sync("skyward", "students")
    assert viewer.job(job.id).status().app == "portal"
    with pytest.raises(AccessDenied):
        viewer.sync("skyward", "students")
    foreign = double.gateway_of("other").sync("powerschool", "students")
    assert foreign.id not in [each.id for each in double.gateway.jobs.list()]


def test_a_failed_sync_is_what_the_app_would_see(double: GatewayDouble) -> None:
    """With the provider's message."""
    double.answer("powerschool", "/*", status=403, json={"message": "no plug-in"})
    with pytest.raises(JobFailed) as failed:
        double.gateway.sync("powerschool", "students").wait()
    assert "403" in str(failed.value)


def test_the_middleware_runs_over_it() -> None:
    """And the dependency: calls are made while the app waits."""
    with GatewayDouble() as double:
        app = FastAPI()
        options = CallOptions(timeout=30, keep=60)
        app.add_middleware(SISGateMiddleware, double.gateway, options=options)

        @app.get("/name")
        def name(gateway: Annotated[Any, Depends(gateway_of)]) -> Any:
            return gateway.request("skyward", "GET", "/x").json()

        double.answer("skyward", "/x", json={"a": 1}, headers={"ETag": '"7"'})
        with AsgiServer(app) as server:
            got = requests.get(f"{server.url}/sis/skyward/x", timeout=60)
            assert (got.status_code, got.json(), got.headers["etag"]) == (200, {"a": 1}, '"7"')
            assert requests.get(f"{server.url}/name", timeout=60).json() == {"a": 1}
            hurried = {"Prefer": "wait=0.2"}
            with double.stopped_workers():
                late = requests.get(f"{server.url}/sis/skyward/x", headers=hurried, timeout=60)
            assert (late.status_code, len(double.sent)) == (202, 2)
            double.work()
            place = f"{server.url}{late.headers['location']}"
            assert requests.get(place, timeout=60).json() == {"a": 1}


APP_TEST = """
import workers
import pytest
from sisgate import Gateway

@pytest.fixture(scope="session")
def sisgate_configuration():
    return {"providers": {"lincoln": {"kind": "oneroster", "token_url": "https://l.test/token",
        "endpoints": [{"url": "https://l.test/api"}]}}}

def test_the_app(gateway: Gateway, sisgate_double):
    assert workers.NAME == "the app's own"
    assert gateway.providers.names() == ["lincoln"]
    assert gateway.sync("lincoln", "students").wait().inserted == 12

def test_each_test_has_its_own(gateway, sisgate_double):
    assert gateway.jobs.list() == []
    sisgate_double.answer("lincoln", "/x", json=1)
    assert gateway.request("lincoln", "GET", "/x").json() == 1
    import workers as again
    assert again is workers
"""


def test_an_app_with_a_package_workers_of_its_own_uses_the_fixtures(tmp_path: Path) -> None:
    """And warnings are errors there."""
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers/__init__.py").write_text('NAME = "the app\'s own"\n')
    (tmp_path / "test_app.py").write_text(APP_TEST)
    root = Path(__file__).parents[3]
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "sisgate.testing.plugin", "-W", "error",
        "-p", "no:cacheprovider", "--override-ini", f"pythonpath={tmp_path} {root}", str(tmp_path),
    ]  # fmt: skip
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_plugin_loads_next_to_nothing() -> None:
    """It is part of every run of pytest."""
    program = (
        "import sys, pytest; before = set(sys.modules); import sisgate.testing.plugin;"
        "print(sorted(m.split('.')[0] for m in set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert not {b"sqlalchemy", b"redis", b"fakeredis", b"celery"} & set(done.stdout.split(b"'"))


def test_gateways_are_of_the_real_class(double: GatewayDouble) -> None:
    """An app cannot tell."""
    assert type(double.gateway) is Gateway
