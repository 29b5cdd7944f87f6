"""The example app under uvicorn, in front of the sandbox, with real workers."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from fastapi import FastAPI

from testbed.asgi_server import AsgiServer
from testbed.installation import variables_of
from testbed.stack import Stack

NAME = "powerschool"
EXAMPLE = Path(__file__).parents[3] / "examples/fastapi_app.py"
KEY = {"X-Api-Key": "a-key-of-your-own"}
PATIENCE = 60.0


def example() -> FastAPI:
    """Return the app of the example."""
    spec = importlib.util.spec_from_file_location("fastapi_app", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app: FastAPI = module.app
    return app


@pytest.fixture
def url(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of the app, which finds its installation by the environment."""
    stack.fresh(NAME)
    for name, value in variables_of(stack.settings).items():
        monkeypatch.setenv(name, value)
    with AsgiServer(example()) as server:
        yield server.url


def test_the_app_answers_as_the_provider_does(url: str, stack: Stack) -> None:
    """Below the prefix and by its rule; a job is made in the app's name."""
    direct = stack.gateway.request(NAME, "GET", "/ws/v1/district", timeout=PATIENCE)
    with requests.Session() as http:
        http.headers.update(KEY)
        answer = http.get(f"{url}/sis/{NAME}/ws/v1/district", headers={"X-SIS-Timeout": "30"})
        assert answer.status_code == 200
        assert answer.content == direct.body
        assert answer.headers["content-type"] == direct.headers["content-type"]
        schools = http.get(f"{url}/schools", headers={"X-SIS-Priority": "high"}, timeout=PATIENCE)
        assert schools.status_code == 200
        assert schools.json()["schools"]
        missing = http.get(f"{url}/sis/{NAME}/ws/v1/nothing", timeout=PATIENCE)
        assert missing.status_code == 404
        assert "problem" not in missing.headers.get("content-type", "")
        job = http.post(f"{url}/rosters/{NAME}/orgs", timeout=PATIENCE).json()
        unknown = http.post(f"{url}/rosters/{NAME}/pets", timeout=PATIENCE)
        assert unknown.status_code == 404
        assert unknown.json()["code"] == "unknown_resource"
    status = stack.gateway.jobs.status(schools.headers["x-sis-job"])
    assert (status.app, status.priority.word) == ("portal", "high")
    assert stack.gateway.jobs.wait(job["job"], PATIENCE).state == "done"


def test_strangers_get_nothing(url: str) -> None:
    """Neither below the prefix nor by a rule, nor by a route of the app."""
    for path in (f"/sis/{NAME}/ws/v1/district", "/schools"):
        answer = requests.get(f"{url}{path}", timeout=PATIENCE)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
    assert requests.post(f"{url}/rosters/{NAME}/orgs", timeout=PATIENCE).status_code == 403
