"""The waits in a job's timeline, as the workers' code and the ledger leave them."""

from collections.abc import Iterator

import pytest
import requests

from sisgate import NewSync
from sisgate.gateway import Job
from sisgate.testing import GatewayDouble

NAME = "infinite_campus"


@pytest.fixture
def double() -> Iterator[GatewayDouble]:
    """A fleet in the time of the test."""
    with GatewayDouble() as double:
        yield double


def waits(double: GatewayDouble, job: Job) -> list[tuple[str | None, int]]:
    """Whose fault each wait of a job was, and for how many seconds."""
    double.finish(job)
    entries = double.admin.jobs.timeline(job.id).entries
    return [(each.fault, round(each.seconds)) for each in entries if each.seconds]


def test_a_pause_is_the_person_s_who_paused(double: GatewayDouble) -> None:
    """With the name and the reason; also if it began before the job."""
    double.admin.providers.control(NAME).pause(actor="ada", reason="maintenance")
    double.move(30)
    job = double.gateway.enqueue_request(NAME, "GET", "/x")
    double.move(60)
    double.resume(NAME)
    assert waits(double, job) == [("person", 60)]
    (text,) = (e.text for e in double.admin.jobs.timeline(job.id).entries if e.seconds)
    assert "because ada had paused infinite_campus (maintenance)" in text


def test_a_spent_quota_is_nobody_else_s_fault() -> None:
    """The calls before it are told."""
    endpoints = [{"url": "https://small.test"}]
    small = {"kind": "oneroster", "limit": "3/h", "endpoints": endpoints}
    with GatewayDouble({"providers": {"small": small}}) as double:
        jobs = [double.gateway.enqueue_request("small", "GET", "/x") for _ in range(4)]
        ((fault, seconds),) = waits(double, jobs[3])
        assert fault == "quota"
        assert seconds > 600


def test_what_nothing_recorded_explains_is_not_known(double: GatewayDouble) -> None:
    """Here: no worker was there, and nobody was told."""
    job = double.gateway.enqueue_request(NAME, "GET", "/x")
    with double.stopped_workers():
        double.move(60)
    assert waits(double, job) == [("unknown", 60)]


def test_what_the_provider_asked_to_wait_is_its_own(double: GatewayDouble) -> None:
    """Until the call is tried again."""
    double.answer(NAME, "/x", status=429, headers={"retry-after": "60"}, times=1)
    job = double.gateway.enqueue_request(NAME, "GET", "/x")
    ((fault, seconds),) = waits(double, job)
    assert fault == "provider"
    assert seconds >= 60


def test_what_could_not_be_sent_is_told_and_so_is_the_wait_now(double: GatewayDouble) -> None:
    """Such a try counts against no quota, and the job's screen shows the outage while it lasts."""
    double.answer(NAME, "/x", error=requests.ConnectTimeout(), times=2)
    job = double.gateway.enqueue_request(NAME, "GET", "/x")
    double.work()
    *_, tried, waiting = double.admin.jobs.timeline(job.id).entries
    assert "could not be sent: The provider" in tried.text
    assert (waiting.text.startswith("waits for its next try"), waiting.fault) == (True, "provider")
    assert {fault for fault, _ in waits(double, job)} == {"provider"}
    texts = [each.text for each in double.admin.jobs.timeline(job.id).entries]
    assert sum(" could not be sent" in text for text in texts) == 2
    assert not [text for text in texts if text.startswith("waits for")]


def test_an_answer_is_not_told_with_the_error_of_the_try_before(double: GatewayDouble) -> None:
    """A count keeps none."""
    double.answer("powerschool", "*", error=requests.ConnectTimeout(), times=1)
    (job,) = double.gateway.enqueue([NewSync("powerschool", "students")])
    double.finish(job)
    entries = double.admin.jobs.timeline(job.id).entries
    answered = [each for each in entries if " answered 200 " in each.text]
    assert {each.tone for each in answered} == {"good"}
    assert any("(count)" in each.text for each in answered)
    assert not [each for each in answered if "could not" in each.text]
