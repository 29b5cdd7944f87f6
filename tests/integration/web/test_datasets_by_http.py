"""Records and changes over HTTP: JSON Lines, tags, cursors."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from starlette.responses import StreamingResponse

from sisgate import Gateway
from sisgate.domain.records import Row
from sisgate.ledger import audit_log, datasets, records
from sisgate.web import server
from sisgate.web import streams as module_of_streams
from testbed.clock import ManualClock
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken
from tests.integration.web.test_jobs_by_http import until

AT = "/v1/providers/open/datasets/students"


def store(gateway: Gateway, ids: list[str]) -> None:
    """Write records as a full sync does."""
    rows = [Row(each, {"sourcedId": each, "name": each}, {"id": each}) for each in ids]
    with gateway.context.database.write() as session:
        dataset = datasets.lock(session, "open", "students")
        now = gateway.context.clock.now()
        records.write_page(session, dataset, rows, job_id="job", generation=1, now=now)


def lines_of(answer: requests.Response) -> list[dict[str, Any]]:
    """The objects of an answer in JSON Lines."""
    assert answer.headers["Content-Type"] == "application/jsonl"
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def students(gateway: Gateway) -> list[str]:
    """Three students, read by a sync."""
    ids = ["s-1", "s-2", "s-3"]
    store(gateway, ids)
    return ids


def test_records_and_changes_are_lines_and_the_reader_is_audited(
    open_service: WebService, gateway: Gateway, students: list[str]
) -> None:
    """In order, with a stated purpose."""
    found = lines_of(open_service.ask("GET", f"{AT}/records?purpose=grades"))
    assert [each["sourcedId"] for each in found] == students
    assert found[0]["data"]["name"] == "s-1"
    changes = lines_of(open_service.ask("GET", f"{AT}/changes?since=1"))
    assert [each["sequence"] for each in changes] == [2, 3]
    assert len(lines_of(open_service.ask("GET", f"{AT}/changes?limit=1"))) == 1
    assert open_service.ask("GET", f"{AT}/cursor").json() == {"cursor": 3}
    assert open_service.ask("GET", f"{AT}/count").json()["records"] == 3
    wanted = audit_log.AuditFilter(action="gateway:dataset:disclose")
    with gateway.context.database.read() as session:
        events = list(audit_log.search(session, wanted))
    phases = [(event.detail or {})["phase"] for event in events]
    assert phases.count("begin") == phases.count("end") == 3
    assert {event.reason for event in events} == {"grades", None}


def test_what_is_known_is_not_sent_again(
    open_service: WebService, gateway: Gateway, students: list[str]
) -> None:
    """Until something changes."""
    known = {}
    for path in (f"{AT}/records", f"{AT}/changes"):
        known[path] = {"If-None-Match": open_service.ask("GET", path).headers["ETag"]}
        again = open_service.ask("GET", path, headers=known[path])
        assert (again.status_code, again.text) == (304, "")
        strong = known[path]["If-None-Match"].removeprefix("W/")
        for other in ("*", strong, f'"x, y", {strong}'):
            headers = {"If-None-Match": other}
            assert open_service.ask("GET", path, headers=headers).status_code == 304
        assert open_service.ask("GET", path, headers={"If-None-Match": '"x"'}).status_code == 200
    store(gateway, [*students, "s-4"])
    for path, tag in known.items():
        assert len(lines_of(open_service.ask("GET", path, headers=tag))) == 4


def test_a_cursor_whose_changes_are_gone_is_told_apart(
    open_service: WebService, gateway: Gateway, students: list[str]
) -> None:
    """410 for one that is too old, and its own code for one that is ahead."""
    assert students
    ahead = open_service.ask("GET", f"{AT}/changes?since=99")
    assert ahead.json()["code"] == "cursor_ahead"
    gateway.datasets.begin_feeds_anew(actor="test")
    old = open_service.ask("GET", f"{AT}/changes?since=1")
    assert (old.status_code, old.json()["code"]) == (410, "cursor_too_old")
    assert open_service.ask("GET", f"{AT}s/records").json()["code"] == "unknown_resource"


@pytest.fixture
def large(gateway: Gateway) -> None:
    """More than what the sockets between a service and its client hold."""
    rows = [Row(f"s-{n}", {"name": "x" * 2**20}, {}) for n in range(16)]
    with gateway.context.database.write() as session:
        dataset = datasets.lock(session, "open", "students")
        now = gateway.context.clock.now()
        records.write_page(session, dataset, rows, job_id="job", generation=1, now=now)


@pytest.mark.usefixtures("large")
def test_a_reader_that_takes_nothing_is_cut_off(
    open_service: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would hold its part of the memory for ever."""
    monkeypatch.setattr(server, "STALL_SECONDS", 0.2)
    streams = open_service.app.state.shared.streams
    with open_service.ask("GET", f"{AT}/records", stream=True) as answer:
        assert answer.status_code == 200
        until(lambda: not streams.count)
        with pytest.raises(requests.RequestException):
            assert len(answer.content) > 16 * 2**20


@pytest.mark.usefixtures("large")
def test_an_owner_has_a_bounded_number_of_streams(
    service: WebService, make_token: MakeToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have theirs, and one that is closed makes room."""
    monkeypatch.setattr(module_of_streams, "MOST_STREAMS", 1)
    one, other = (
        {"Authorization": f"Bearer {make_token(name, 'app')}"} for name in ("gradebook", "library")
    )

    def status(headers: dict[str, str]) -> int:
        with service.ask("GET", f"{AT}/records", headers=headers, stream=True) as answer:
            return answer.status_code

    with service.ask("GET", f"{AT}/records", headers=one, stream=True) as reading:
        assert reading.status_code == 200
        refused = service.ask("GET", f"{AT}/records", headers=one)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
        assert status(other) == 200
    streams = service.app.state.shared.streams
    until(lambda: not streams.count)
    assert status(one) == 200


def test_lines_that_take_long_are_sent_one_by_one(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who follows a long work sees each step; quick lines come together."""
    clock = ManualClock()
    monkeypatch.setattr(module_of_streams, "CLOCK", clock)

    def steps() -> Iterator[int]:
        for seconds in (1, 1, 0, 0, 0):
            clock.advance(seconds)
            yield seconds

    async def sent() -> list[Any]:
        response = await module_of_streams.LineStreams().json(gateway, steps(), lambda step: step)
        assert isinstance(response, StreamingResponse)
        return [chunk async for chunk in response.body_iterator]

    assert asyncio.run(sent()) == [b"1\n", b"1\n", b"0\n0\n0\n"]
