"""A provider that names a student in every place of its answers: no message, log or page does."""

import logging
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from sqlalchemy import select

from sisgate import Gateway
from sisgate.domain.webhook_events import EventType
from sisgate.ledger.schema import Base
from sisgate.monitoring.counting import count_next
from testbed.console_visitor import ConsoleVisitor
from testbed.http_server import Asked, Reply, json_reply
from testbed.ledgers import Ledgers
from testbed.scene import Scene
from testbed.web_service import WebService
from workers.jobs import planning
from workers.maintenance import audit

NAME = "Adalovelace"
HERE = f"/students/{NAME}?name={NAME}"
HTML, XML = {"Content-Type": f"text/html; name={NAME}"}, {"Content-Type": "application/xml"}
PAGE = f"<html><title>{NAME}</title><p>{NAME} was not found</p></html>".encode()
SAID = {
    "x-request-id": NAME,
    "WWW-Authenticate": f'Bearer realm="{NAME}", error_description="{NAME}"',
    "Reason-Phrase": NAME,
}
REFUSALS: list[Reply] = [
    json_reply({"message": f"Student {NAME} (4711) not found", "code": NAME}, 404, **SAID),
    json_reply({"imsx_codeMajor": "failure", "imsx_description": f"{NAME} not found",
                "imsx_codeMinorFieldValue": NAME}, 422),
    json_reply({"error": NAME, "error_description": f"invalid student {NAME}"}, 400),
    json_reply({"errorMessage": {"message": NAME}, "errors": [{"code": f"no_{NAME}"}]}, 403),
    json_reply({"error": f"Token of {NAME} has expired"}, 401, **SAID),
    json_reply(f"{NAME} not found", 410),
    (404, HTML, PAGE),
    (404, XML, f"<error student='{NAME}'>{NAME} not found</error>".encode()),
    (400, {"Content-Type": "text/plain"}, f"{NAME} not found".encode()),
    (302, {"Location": HERE}, PAGE),
    (409, {"Location": f"http://127.0.0.9{HERE}", "Retry-After": NAME}, f'"{NAME}'.encode()),
]  # fmt: skip
OUTAGES: list[Reply] = [
    (500, HTML, PAGE),
    (200, {"Content-Encoding": f"gzip, {NAME}"}, NAME.encode()),
    json_reply({"message": f"{NAME} is too busy"}, 503, Retry_After=f"{NAME} 10"),
    json_reply({"message": f"{NAME} asks too often"}, 429, Retry_After=NAME),
]
ROW = {"sourcedId": f"id-{NAME}", "status": NAME, "dateLastModified": NAME, "role": NAME,
       "givenName": NAME, "birthDate": NAME, "enabledUser": NAME, "orgs": NAME, "sex": NAME,
       "beginDate": NAME, "schoolYear": NAME, NAME: NAME}  # fmt: skip
LISTS: dict[str, Reply] = {
    "orgs": (200, HTML, f'{{"orgs": [{{"name": "{NAME}'.encode()),
    "terms": json_reply({"imsx_codeMajor": "failure", "imsx_description": NAME,
                         "imsx_codeMinorFieldValue": NAME}),
    "courses": json_reply({NAME: [ROW]}),
    "classes": (200, HTML, PAGE),
    "teachers": json_reply([ROW, {"message": NAME, "code": NAME}]),
    "students": json_reply({"users": [ROW, ROW, {"givenName": NAME}, NAME, None]},
                           X_Total_Count=NAME, Link=f"<{HERE}>; rel=next"),
    "enrollments": json_reply({"enrollments": [ROW, ROW, {**ROW, "sourcedId": {"of": NAME}}]},
                              Link=f"<http://127.0.0.9{HERE}>; rel=next"),
    "demographics": json_reply({"demographics": [{NAME: NAME}, NAME]}, X_Total_Count=NAME),
}  # fmt: skip

NOT_SHOWN = {"records", "responses", "changes", "marked_deletions", "variants", "known_pages"}
"""Tables of payload and of rows' ids."""

IDS = {("calls", "edges"), ("calls", "link"), ("jobs", "newest_id"), ("jobs", "witness"),
       ("datasets", "newest_id"), ("listings", "plan")}  # fmt: skip
"""Columns of rows' ids, and of links to pages."""


@pytest.fixture
def ledger_url(ledgers: Ledgers, tmp_path: Path) -> str:
    """SQLite only: messages are made before they are stored."""
    return ledgers.sqlite(tmp_path / "ledger.sqlite3")


@pytest.fixture
def scene(tmp_path: Path, redis_url: str, ledger_url: str) -> Iterator[Scene]:
    """Three districts: the first refuses, the second has broken lists, the third fails."""
    scene, outages = Scene(tmp_path, redis_url, ledger_url, 1), cycle(OUTAGES)

    def fail(asked: Asked) -> Reply:
        return json_reply({"access_token": "t"}) if asked.path == "/token" else next(outages)

    scene.districts["lincoln"].answer = lambda asked: REFUSALS[int(asked.path[1:])]
    scene.districts["clark"].answer = fail
    with scene.running():
        yield scene


def ask_for_everything(scene: Scene) -> list[str]:
    """Meet every answer, most of them twice; return the jobs."""
    app = scene.as_app("portal")
    jobs = [
        app.enqueue_request("lincoln", "GET", f"/{number}", timeout=7200).id
        for number in range(len(REFUSALS))
    ]
    for resource, reply in LISTS.items():
        scene.districts["adams"].answer = lambda _, reply=reply: reply  # type: ignore[misc]
        jobs.append(app.sync("adams", resource).id)
        planning.plan(scene.runtime, jobs[-1])
        for _ in range(3):
            scene.work("adams")
            scene.clock.advance(60)
    jobs += [app.enqueue_request("clark", "GET", "/x", timeout=7200).id for _ in OUTAGES]
    for _ in range(12):
        scene.work("lincoln", "clark")
        scene.clock.advance(120)
        scene.be_alive()
    scene.districts["clark"].answer = lambda _: json_reply({"error": NAME}, 401, **SAID)
    jobs.append(app.enqueue_request("clark", "POST", "/y", timeout=7200).id)
    for _ in range(4):
        scene.work("clark")
        scene.clock.advance(600)
    audit.seal(scene.runtime)
    while count_next(scene.runtime.database):
        pass
    return jobs


def cells(gateway: Gateway) -> Iterator[tuple[str, str]]:
    """Return what stands in the tables but for payload and ids."""
    with gateway.context.database.read() as session:
        for table in Base.metadata.sorted_tables:
            shown = [each for each in table.columns if (table.name, each.name) not in IDS]
            if table.name not in NOT_SHOWN:
                yield f"table {table.name}", str(session.execute(select(*shown)).all())


def told(gateway: Gateway, jobs: list[str]) -> Iterator[tuple[str, str]]:
    """Return what the gateway tells of all this."""
    alerts = gateway.alerts.evaluate()
    yield "alerts", str(list(alerts.changed))
    yield "error patterns", str(gateway.errors.list())
    yield "metrics", str(gateway.fleet.metrics())
    for subject in (*jobs, *(f"adams/{each}" for each in LISTS), "lincoln", "adams", "clark"):
        yield f"why {subject}", str(gateway.why(subject).as_dict())
    for job in jobs:
        yield f"job {job}", str(gateway.jobs.status(job).as_dict())
        yield f"timeline of {job}", str(gateway.jobs.timeline(job))


def pages(gateway: Gateway, jobs: list[str]) -> Iterator[tuple[str, str]]:
    """Return what a viewer sees in the console and by HTTP."""
    settings = gateway.settings.model_copy(update={"access": "tokens"})
    made = gateway.tokens.add("vera", ["viewer"]).token
    assert made is not None
    token = made.get_secret_value()
    paths = ["/", "/jobs", "/errors", "/alerts", "/providers/clark", "/providers/lincoln"]
    with (
        WebService(Gateway(settings, database=gateway.context.database)) as service,
        ConsoleVisitor(service, token) as visitor,
    ):
        for path in (*paths, *(f"/jobs/{job}" for job in jobs)):
            answer = visitor.get(path)
            assert answer.status_code == 200, path
            yield path, answer.text
        for path in ("/v1/jobs", "/metrics", *(f"/v1/jobs/{job}" for job in jobs)):
            yield path, service.ask("GET", path, token=token).text


def test_no_message_names_whom_a_provider_names(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in jobs, calls, audit log, patterns, verdicts, alerts, metrics, webhooks, pages, logs."""
    caplog.set_level(logging.INFO)
    gateway = scene.gateway
    gateway.webhooks.add(None, [str(each) for each in EventType], every_app=True)
    jobs = ask_for_everything(scene)
    ended = [gateway.jobs.status(job) for job in jobs]
    assert {each.error["code"] for each in ended if each.error} >= {
        "provider_refused", "answer_invalid",
    }  # fmt: skip
    assert len([each for each in ended if each.error]) > len(jobs) // 2
    assert any("not found" in each.error["message"] for each in ended if each.error)
    for found in (cells, told, pages):
        for place, text in found(gateway, *([jobs] if found is not cells else [])):
            at = text.find(NAME)
            assert NAME.lower() not in text.lower(), f"{place}: …{text[max(0, at - 300) : at + 40]}"
    assert "call_ended" in caplog.text
    assert NAME not in caplog.text
