"""Flower in a real browser, on a running fleet: what it shows, sets, refuses and remembers."""

import json
import re
import signal

import pytest
from playwright.sync_api import Page, expect

from sisgate.broker import SYNC_TASK, celery_app
from testbed.flower import FlowerPages
from testbed.stack import Stack, end, wait_until
from tests.browser.conftest import CONSOLE_FOR_FLOWER, Visit, start_flower

GIVEN_AWAY = "Kanarienna"
"""The name of a student in a message of an app that does not know better."""


@pytest.fixture(scope="module")
def job(stack: Stack, flower: FlowerPages) -> str:
    """A sync whose tasks Flower has seen."""
    done = stack.sync("roosevelt", "students", mode="full")
    wait_until(lambda: done.id in tasks_of(flower, "sisgate.call.roosevelt"), "Flower's tasks")
    return done.id


def tasks_of(flower: FlowerPages, name: str) -> str:
    """What Flower knows of the tasks of a name."""
    return flower.get(f"/api/tasks?taskname={name}")[1]


def open_worker(page: Page, tab: str) -> None:
    """Go to the only worker, as from Flower's first page."""
    page.goto("/workers")
    page.get_by_role("link", name=re.compile("^Worker w[0-9]+@")).first.click()
    page.get_by_role("tab", name=tab).click()


def test_nothing_is_seen_without_the_login(flower: FlowerPages, job: str) -> None:
    """Also what Flower itself shows to everybody; the password is in a file of this user."""
    paths = ["/", "/tasks", f"/task/{job}", "/broker", "/metrics", "/api/tasks", "/api/workers"]
    assert {flower.get(path, login=False)[0] for path in paths} == {401}
    assert {flower.get(path)[0] for path in paths} == {200}
    assert flower.login_file.stat().st_mode & 0o077 == 0


def test_a_limit_set_in_flower_is_that_of_the_fleet(
    flower_page: Page, stack: Stack, job: str
) -> None:
    """One above the configured limit is refused in words."""
    control = stack.gateway.providers.control("roosevelt")
    open_worker(flower_page, "Limits")
    row = flower_page.locator("tr", has_text="sisgate.call.roosevelt")
    row.get_by_label("Rate limit").fill("600")
    row.get_by_role("button", name="Apply").click()
    expect(flower_page.get_by_text("600/h for the whole fleet")).to_be_visible()
    wait_until(lambda: str(control.state().windows[0].rate) == "600/h", "the limit")
    row.get_by_label("Rate limit").fill("5000")
    row.get_by_role("button", name="Apply").click()
    expect(flower_page.get_by_text("more than the configured limit")).to_be_visible()
    control.set_limits(None, actor="test")


def test_what_would_do_harm_is_refused_in_words(
    flower_page: Page, flower: FlowerPages, stack: Stack, job: str
) -> None:
    """Time limits, autoscaling of a worker without it, revoking, sending tasks, another's frame."""
    page = flower_page.goto("/workers")
    assert page is not None
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["content-security-policy"] == "frame-ancestors 'none'"
    open_worker(flower_page, "Limits")
    row = flower_page.locator("tr", has_text="sisgate.call.roosevelt")
    row.get_by_label("Timeout").fill("5")
    row.get_by_role("button", name="Hard").click()
    expect(flower_page.get_by_text("Time limits follow from the configuration")).to_be_visible()
    flower_page.get_by_role("tab", name="Pool").click()
    flower_page.get_by_label("Minimum autoscale").fill("1")
    flower_page.get_by_label("Maximum autoscale").fill("3")
    flower_page.get_by_role("button", name="Apply").first.click()
    expect(flower_page.get_by_text("started without `--autoscale")).to_be_visible()

    task = next(iter(json.loads(tasks_of(flower, "sisgate.call.roosevelt"))))
    status, said = flower.post(f"/api/task/revoke/{task}", terminate="true")
    assert (status, f"sisgate jobs cancel {job}" in said) == (403, True)
    assert flower.post("/api/task/send-task/sisgate.sync")[0] == 403
    assert flower.post("/api/task/async-apply/sisgate.sync.plan")[0] == 403


def test_flower_and_console_lead_to_each_other_by_the_job(
    flower_page: Page, flower: FlowerPages, visit: Visit, stack: Stack, job: str
) -> None:
    """From a call to its job, from a job to its tasks: of a sync and of a request."""
    task = next(iter(json.loads(tasks_of(flower, "sisgate.call.roosevelt"))))
    flower_page.goto(f"/task/{task}")
    expect(flower_page.locator("dd", has_text="answered 200")).to_be_visible()
    link = flower_page.get_by_role("link", name=job)
    expect(link).to_have_attribute("href", f"{CONSOLE_FOR_FLOWER}/jobs/{job}")
    flower_page.get_by_role("link", name="all its tasks").click()
    expect(flower_page.locator("#tasks-table tbody tr").first).to_contain_text(job)

    request = stack.gateway.enqueue_request("lincoln", "GET", "/ims/oneroster/v1p1/orgs").id
    stack.gateway.jobs.wait(request, 30)
    console = visit("viewer")
    for each in (job, request):
        console.goto(f"/jobs/{each}")
        href = console.get_by_role("link", name="Its tasks").get_attribute("href")
        assert href == f"{flower.url}/task/{each}"
    flower_page.goto(f"/task/{request}")
    expect(flower_page.locator("#tasks-table tbody tr")).to_have_count(1)


def test_the_backlog_is_counted_over_all_priorities(
    flower_page: Page, flower: FlowerPages, stack: Stack
) -> None:
    """Also of a provider that is paused, and of one that no worker serves."""
    control = stack.gateway.providers.control("lincoln")
    control.pause(actor="test")
    for priority in ("urgent", "high", "normal", "low"):
        stack.gateway.enqueue_request(
            "lincoln", "GET", "/ims/oneroster/v1p1/orgs", priority=priority
        )
    flower_page.goto("/broker")
    expect(flower_page.locator("tr#lincoln")).to_contain_text("4")
    worker = next(iter(json.loads(flower.get("/api/workers?refresh=1")[1])))
    status, said = flower.post(f"/api/worker/queue/cancel-consumer/{worker}", queue="lincoln")
    assert (status, "in this worker; others go on" in said) == (200, True)
    flower.get(f"/api/workers?refresh=1&workername={worker}")
    flower_page.goto("/broker")
    expect(flower_page.locator("tr#lincoln")).to_contain_text("4")
    flower.post(f"/api/worker/queue/add-consumer/{worker}", queue="lincoln")
    control.resume(actor="test")


def test_it_remembers_ids_and_no_data_over_a_restart(
    flower: FlowerPages, stack: Stack, job: str
) -> None:
    """What an app put into a message is neither shown nor written."""
    app = celery_app(stack.settings, stack.redis_url)
    words = {"provider": "roosevelt", "resource": "teachers", "student": GIVEN_AWAY}
    app.send_task(SYNC_TASK, kwargs=words, queue="sisgate", priority=3)
    app.close()
    wait_until(lambda: "teachers" in tasks_of(flower, SYNC_TASK), "the message")
    assert "'student': …" in json.loads(tasks_of(flower, SYNC_TASK)).popitem()[1]["kwargs"]
    (process,) = stack.processes_of("flower")
    end(process, signal.SIGTERM)
    memory = stack.folder / "flower"
    assert all(file.stat().st_mode & 0o077 == 0 for file in memory.rglob("*"))
    kept = b"".join(file.read_bytes() for file in memory.rglob("*") if file.is_file())
    assert job.encode() in kept
    assert GIVEN_AWAY.encode() not in kept

    start_flower(stack, int(flower.url.rpartition(":")[2]))
    assert job in tasks_of(flower, "sisgate.call.roosevelt")
    assert flower.get(f"/task/{job}")[0] == 200
