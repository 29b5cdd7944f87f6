"""What goes wrong is a problem document, wherever it goes wrong."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from sisgate.clock import SystemClock, poll_until
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from testbed.web_service import WebService

SECRET = "Jane Doe 2011-04-05"

WRONG = [
    ("GET", "/v1/nothing", {}, 404, "not_found"),
    ("GET", "/v1/jobs/none", {}, 404, "unknown_job"),
    ("GET", "/v1/providers/none", {}, 404, "unknown_provider"),
    ("GET", "/v1/jobs?limit=0", {}, 422, "usage"),
    ("GET", f"/v1/jobs?limit={SECRET}", {}, 422, "usage"),
    ("GET", "/v1/jobs?limt=1", {}, 422, "usage"),
    ("GET", "/v1/providers/open/datasets/students/records?limit=1", {}, 422, "usage"),
    ("GET", "/v1/usage?since=2026-01-01T00:00:00", {}, 422, "usage"),
    ("GET", "/v1/usage?since=2026", {}, 422, "usage"),
    ("GET", "/v1/dead-letters?since=0.5", {}, 422, "usage"),
    ("GET", "/v1/errors?since=-2", {}, 422, "usage"),
    ("DELETE", "/v1/jobs", {}, 405, "usage"),
    ("DELETE", "/v1/alerts/silences/sl_1", {"json": {"reason": SECRET}}, 422, "usage"),
    ("DELETE", "/v1/webhooks/wh_1", {"json": {"reason": SECRET}}, 422, "usage"),
    ("DELETE", "/v1/webhooks/wh_1", {"data": f"reason={SECRET}"}, 415, "usage"),
    ("POST", "/v1/webhooks/wh_1/test", {"json": {"reason": SECRET}}, 422, "usage"),
    ("POST", "/v1/webhooks/wh_1/test", {"json": {}}, 404, "unknown_webhook"),
    ("POST", "/v1/syncs", {"json": {"provider": SECRET}}, 422, "usage"),
    ("POST", "/v1/syncs", {"json": {"provider": "open", "resource": "x"}}, 404, "unknown_resource"),
    ("POST", "/v1/syncs", {"json": [SECRET]}, 422, "usage"),
    ("POST", "/v1/syncs", {"data": b"{"}, 415, "usage"),
    (
        "POST", "/v1/syncs",
        {"data": b'{"a": ', "headers": {"Content-Type": "application/json"}}, 422, "usage",
    ),
    (
        "POST", "/v1/syncs",
        {"data": b"\xff\xfe", "headers": {"Content-Type": "application/json"}}, 422, "usage",
    ),
]  # fmt: skip


def test_a_report_is_shown_with_its_style_sheet_and_no_other(open_service: WebService) -> None:
    """A browser applies what the policy has the hash of."""
    report = open_service.ask("GET", "/v1/sla/open/report?month=2026-01")
    style = report.text.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in report.headers["Content-Security-Policy"]
    assert style
    assert " style=" not in report.text


def test_a_method_that_a_path_does_not_take_is_told_all_that_it_takes(
    open_service: WebService,
) -> None:
    """RFC 9110, 10.2.1: also where several routes have the path."""
    allowed = {
        path: open_service.ask("TRACE", path).headers["Allow"]
        for path in ("/v1/jobs", "/v1/webhooks/wh_1", "/health/live")
    }
    assert allowed == {
        "/v1/jobs": "GET, POST", "/v1/webhooks/wh_1": "DELETE, GET, PATCH",
        "/health/live": "GET, HEAD",
    }  # fmt: skip


@pytest.mark.parametrize(("method", "path", "arguments", "status", "code"), WRONG)
def test_a_wrong_request_is_told_what_is_wrong(
    open_service: WebService,
    method: str,
    path: str,
    arguments: dict[str, Any],
    status: int,
    code: str,
) -> None:
    """With the path, without the values that were sent."""
    answer = open_service.ask(method, path, **arguments)
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"urn:sisgate:error:{code}"
    assert problem["instance"] == path.partition("?")[0]
    assert "Jane" not in answer.text


def test_the_words_are_not_those_of_the_parser(open_service: WebService) -> None:
    """Each mistake of a body says what it is, and an unknown parameter says which are known."""
    answer = open_service.ask("POST", "/v1/syncs", json={"provider": "open", "resorce": "orgs"})
    assert answer.json()["problems"] == [
        {"place": "body.resource", "message": "is missing"},
        {"place": "body.resorce", "message": "is not a field of this body"},
    ]
    json = {"Content-Type": "application/json"}
    answer = open_service.ask("POST", "/v1/syncs", data=b'{"a": ', headers=json)
    (problem,) = answer.json()["problems"]
    assert problem == {"place": "body", "message": "not valid JSON at character 6"}
    answer = open_service.ask("GET", "/v1/jobs?limt=1")
    assert "cursor, limit" in answer.json()["detail"]


def test_the_log_has_the_pattern_of_a_path_also_of_what_was_refused(
    service: WebService, caplog: pytest.LogCaptureFixture
) -> None:
    """A path may name a student, and says in which part of the API a caller is wrong."""
    caplog.set_level("INFO")
    for path in (f"/v1/jobs/{SECRET}", "/v1/jobs", "/v1/nothing/more"):
        assert service.ask("GET", path).status_code == 401

    def answered() -> list[str]:
        return [e.getMessage() for e in caplog.records if "request_answered" in e.getMessage()]

    # A line is written after its answer.
    poll_until(lambda: len(answered()) == 3, clock=SystemClock(), timeout_seconds=30)
    lines = answered()
    routes = [found[1] for line in lines for found in re.finditer("route'?[=:] ?'([^']*)'", line)]
    assert routes == ["/v1/jobs/{job_id}", "/v1/jobs", "/v1"]
    assert SECRET not in " ".join(lines)


@pytest.mark.parametrize("error", [DatabaseUnavailable, BrokerUnavailable])
def test_an_outage_says_when_to_try_again(
    open_service: WebService, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """503 and Retry-After."""

    def fail(*_: object, **__: object) -> None:
        raise error("It is away.")

    monkeypatch.setattr("sisgate.gateway.jobs.Jobs.list", fail)
    answer = open_service.ask("GET", "/v1/jobs")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"


def test_a_mistake_of_ours_tells_nothing(
    open_service: WebService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the exception nor its text; the log has it as an error."""
    caplog.set_level("INFO")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("sisgate.gateway.jobs.Jobs.list", fail)
    answer = open_service.ask("GET", "/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (500, "error")
    assert "Jane" not in answer.text
    assert "RuntimeError" not in answer.text
    (event,) = [each for each in caplog.records if "request_answered" in each.getMessage()]
    assert (event.levelname, "500" in event.getMessage()) == ("ERROR", True)
