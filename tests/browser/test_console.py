"""What people do in the console, in a real browser, with a real fleet behind it."""

import re

from playwright.sync_api import expect

from sisgate.clock import poll_until
from sisgate.domain.priorities import Priority
from sisgate.redis.queues import list_key
from testbed.axe import violations
from testbed.keyboard import Keyboard
from testbed.stack import CLOCK, PATIENCE_SECONDS, Stack, wait_until
from tests.browser.conftest import STUDENTS, Visit


def test_a_token_opens_the_console_and_logging_out_closes_it(visit: Visit, stack: Stack) -> None:
    """By the keyboard alone. The page says that it is kept up to date."""
    token = stack.gateway.tokens.add("typist", ["viewer"]).token
    assert token is not None
    page = visit(None)
    page.goto("/login")
    keys = Keyboard(page)
    keys.fill(page.get_by_label("Token"), token.get_secret_value())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible()
    keys.press(page.get_by_role("button", name="Log out"))
    expect(page).to_have_url(re.compile("/login$"))
    page.goto("/")
    expect(page).to_have_url(re.compile("/login"))


def test_keys_go_to_pages_and_can_be_switched_off(visit: Visit) -> None:
    """`?` shows them, `/` searches; with them off, nothing happens."""
    page = visit("admin")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.locator("h1").click()
    page.keyboard.press("g")
    page.keyboard.press("j")
    expect(page).to_have_url(re.compile("/jobs$"))
    keys = Keyboard(page)
    keys.press(page.locator("summary", has_text="Settings"))
    keys.reach(page.get_by_role("group", name="Single-key shortcuts").get_by_label("on"))
    page.keyboard.press("ArrowDown")
    keys.press(page.get_by_role("button", name="Save"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_sync_is_watched_from_its_beginning_to_its_end(visit: Visit, stack: Stack) -> None:
    """By an operator, without a reload: states, calls and the end come by themselves."""
    stack.gateway.providers.control("lincoln").pause(actor="test")
    page = visit("operator")
    page.goto("/datasets/lincoln/students/sync")
    page.get_by_label("Mode").select_option("full")
    page.get_by_role("button", name="Sync").click()
    expect(page.get_by_role("status").filter(has_text="accepted")).to_be_visible()
    waits = page.get_by_role("status").filter(has_text="Waits for lincoln, which takes no calls")
    expect(waits).to_be_visible()
    stack.gateway.providers.control("lincoln").resume(actor="test")
    expect(page.locator("#live .badge", has_text="done")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("answered 200").first).to_be_visible()


def test_failed_jobs_are_filtered_and_retried_in_bulk(visit: Visit, stack: Stack) -> None:
    """By keyboard: the filter suggests, the address holds the view, a review comes first."""
    jobs = [stack.gateway.sync("roosevelt", "students", app="bulky").id for _ in range(3)]
    for job in jobs:
        poll_until(
            lambda job=job: stack.gateway.jobs.status(job).is_final,  # type: ignore[misc]
            clock=CLOCK, timeout_seconds=PATIENCE_SECONDS,
        )  # fmt: skip
    stack.gateway.providers.control("roosevelt").pause(actor="test")
    doomed = [stack.gateway.sync("roosevelt", "teachers", app="bulky").id for _ in range(3)]
    for job in doomed:
        stack.gateway.jobs.cancel(job)
    page = visit("operator")
    page.goto("/jobs")
    keys = Keyboard(page)
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name="Filter")
    field.press_sequentially("sta")
    expect(page.get_by_role("option", name="state:")).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")
    field.press_sequentially("can")
    expect(page.get_by_role("option", name="state:cancelled")).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")
    field.press_sequentially("app:bulky")
    field.press("Enter")
    expect(page).to_have_url(re.compile("q=state%3Acancelled\\+app%3Abulky"))
    expect(page.locator("tbody tr")).to_have_count(3)
    keys.press(page.get_by_role("link", name="Retry all that match"))
    expect(page.locator("main")).to_contain_text("Retry 3 jobs")
    keys.press(page.get_by_role("button", name="Retry 3 jobs"))
    expect(page.get_by_role("status")).to_contain_text("3 jobs retried")
    assert all(stack.gateway.jobs.status(job).retried_as for job in doomed)


def test_a_suggestion_is_of_what_was_typed_also_before_its_answer_is_there(visit: Visit) -> None:
    """The service answers the last letters late: what fits them is chosen nevertheless."""
    page = visit("viewer")
    page.goto("/jobs")
    page.route(re.compile("word=state%3Ac"), lambda _: None)
    field = page.get_by_role("combobox", name="Filter")
    field.press_sequentially("state:")
    expect(page.get_by_role("option", name="state:accepted")).to_be_visible()
    field.press_sequentially("can")
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value("state:cancelled ")


def test_a_provider_is_paused_until_a_time_and_resumed(visit: Visit, stack: Stack) -> None:
    """By the keyboard alone, with a reason, which the audit log keeps with the visitor's name."""
    page = visit("operator")
    keys = Keyboard(page)
    page.goto("/providers/lincoln")
    keys.press(page.get_by_role("link", name="Pause"))
    keys.fill(page.get_by_label("Until"), "2h")
    keys.fill(page.get_by_label("Reason"), "maintenance of the SIS")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="is paused until")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="No calls are made")).to_be_visible()
    page.goto("/")
    expect(page.get_by_text("lincoln is paused.")).to_be_visible()
    page.goto("/providers/lincoln")
    keys.press(page.get_by_role("link", name="Resume"))
    keys.press(page.get_by_role("button", name="Resume"))
    expect(page.get_by_role("status").filter(has_text="goes on")).to_be_visible()
    event = next(e for e in stack.gateway.audit.tail() if e.action == "limits:provider:pause")
    assert event.reason == "maintenance of the SIS"
    assert event.actor.startswith("operator-visitor (token ")


def test_a_held_sync_is_acknowledged_and_approved(visit: Visit, stack: Stack) -> None:
    """By the keyboard alone; its alert is looked after, and the records go after a check."""
    assert stack.sync("roosevelt", "students", mode="full").state == "done"
    stack.sandbox.churn("roosevelt", resource="students", delete=STUDENTS // 2)
    assert stack.sync("roosevelt", "students", mode="full").state == "held"
    page = visit("operator", "sight")
    page.goto("/")
    expect(page.get_by_text("1 sync held: deletions wait for approval.")).to_be_visible()

    def fires() -> bool:
        stack.gateway.alerts.evaluate()
        return any(e.rule == "held-sync" for e in stack.gateway.alerts.list(states=["firing"]))

    assert poll_until(fires, clock=CLOCK, timeout_seconds=PATIENCE_SECONDS)
    page.goto("/alerts")
    keys = Keyboard(page)
    its = page.locator("section", has_text="Rule held-sync")
    keys.press(its.get_by_role("link", name="Acknowledge"))
    keys.fill(page.get_by_label("Note"), "asked the district")
    keys.press(page.get_by_role("button", name="Acknowledge"))
    expect(page.get_by_text("looks after it since")).to_contain_text("asked the district")
    keys.press(its.get_by_role("link", name="Silence"))
    keys.fill(page.get_by_label("Until"), "1m")
    page.keyboard.press("Enter")
    keys.press(page.get_by_role("link", name="End the silence of held-sync"))
    keys.press(page.get_by_role("button", name="End it"))
    expect(page.get_by_role("status").filter(has_text="The silence has ended")).to_be_visible()
    page.goto("/held")
    keys.press(page.get_by_role("link", name="Review and approve students of roosevelt"))
    expect(page.locator("tbody tr")).to_have_count(STUDENTS // 2)
    assert violations(page) == []
    keys.fill(page.get_by_label("Why you look at student data"), "are they gone?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Student data is shown.")).to_be_visible()
    assert violations(page) == []
    keys.press(page.get_by_label("I have checked"), "Space")
    keys.press(page.get_by_role("button", name="Approve the deletions"))
    expect(page.locator("#live .badge", has_text="done")).to_be_visible(timeout=60_000)
    page.goto("/held")
    expect(page.get_by_text("No sync is held.")).to_be_visible()


def test_student_data_is_shown_to_who_has_payload_sight_and_says_why(
    visit: Visit, stack: Stack
) -> None:
    """Everybody else sees ids; the look is among the disclosures of the person."""
    assert stack.sync("lincoln", "students", mode="full").state == "done"
    record = next(stack.gateway.records("lincoln", "students"))
    name = record.data["familyName"]
    page = visit("viewer")
    page.goto("/datasets")
    page.get_by_role("link", name="Records of students of lincoln").click()
    expect(page.get_by_role("button", name=record.sourced_id)).to_be_visible()
    expect(page.get_by_text("for who has payload sight")).to_be_visible()
    page = visit("operator", "sight")
    page.goto("/datasets/lincoln/students/records")
    page.get_by_role("button", name=record.sourced_id).click()
    expect(page.locator("main")).not_to_contain_text(name)
    page.get_by_label("Why you look at student data").fill("a call of the parents")
    page.get_by_role("button", name="Show student data").click()
    expect(page.locator("main")).to_contain_text(name)
    assert violations(page) == []
    job = stack.gateway.enqueue_request("lincoln", "GET", "/ims/oneroster/rostering/v1p2/orgs").id
    stack.gateway.jobs.wait(job, PATIENCE_SECONDS)
    page.goto(f"/jobs/{job}")
    page.get_by_label("Why you look at student data").fill("a call of the parents")
    page.get_by_role("button", name="Show student data").click()
    expect(page.get_by_label("Body of the response")).to_contain_text("orgs")
    assert violations(page) == []
    page = visit("admin")
    page.goto("/disclosures")
    page.get_by_role("combobox", name="Provider").fill("lincoln")
    page.get_by_label("Id at the provider").fill(record.sourced_id)
    page.keyboard.press("Enter")
    expect(page.get_by_text("a call of the parents")).to_be_visible()


def test_a_configuration_is_rolled_back(visit: Visit, stack: Stack) -> None:
    """By the keyboard alone, with the difference shown before."""
    configuration = stack.gateway.configuration
    before = configuration.show().info.number
    plan = configuration.plan_edit("lincoln", {"limit": "1500/h"})
    configuration.apply(plan, actor="test", reason="a mistake")
    page = visit("admin")
    page.goto("/configuration")
    keys = Keyboard(page)
    keys.press(page.get_by_role("link", name=str(before), exact=True))
    keys.press(page.get_by_role("link", name="Roll back to this"))
    expect(page.locator("main")).to_contain_text('limit: "1500/h" → "2000/h"')
    keys.fill(page.get_by_label("Reason"), "too slow")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="is in force")).to_be_visible()
    assert configuration.show().document["providers"]["lincoln"]["limit"] == "2000/h"


def test_the_keyboard_alone_does_the_other_actions(visit: Visit, stack: Stack) -> None:
    """Each begins at its first question, and ends at what it says about itself."""
    gateway = stack.gateway
    gateway.providers.control("roosevelt").pause(actor="test")
    job = gateway.sync("roosevelt", "orgs").id
    hook = gateway.webhooks.add(None, ["job.ended"], app="bulky").id
    document = gateway.configuration.show().document
    nightly = {"provider": "lincoln", "resources": ["orgs"], "cron": "0 2 * * *"}
    gateway.configuration.apply({**document, "schedules": {"nightly": nightly}}, actor="test")
    gateway.context.redis.lpush(list_key("lincoln", int(Priority.HIGH)), b"garbage")
    wait_until(lambda: bool(gateway.quarantine.list()), "the quarantine")
    message = gateway.quarantine.list()[0].id
    page = visit("admin")
    keys = Keyboard(page)

    def told(words: str) -> None:
        expect(page.get_by_role("status").filter(has_text=words)).to_be_focused()

    def act(path: str, link: str, submit: str, words: str) -> None:
        page.goto(path)
        keys.press(page.get_by_role("link", name=link, exact=True))
        keys.press(page.get_by_role("button", name=submit, exact=True))
        told(words)

    act(f"/jobs/{job}", "Cancel", "Cancel the job", "The job is cancelled")
    act(f"/jobs/{job}", "Retry", "Retry", "This job does it again")
    act("/webhooks", "Pause that of bulky", "Pause", "The webhook is paused")
    act("/webhooks", "Resume that of bulky", "Resume", "The webhook goes on")
    act("/schedules", "Run now nightly", "Run now", "nightly runs: 1 sync is accepted")
    act("/quarantine", f"Drop {message[:8]}", "Drop", "The message is deleted")
    act("/datasets?provider=lincoln", "Sync orgs of lincoln", "Sync", "The sync is accepted")
    page.goto("/providers/lincoln")
    keys.press(page.get_by_role("link", name="Limits"))
    keys.fill(page.get_by_label("Limits"), "900/h")
    page.keyboard.press("Enter")
    told("are 900/h")
    keys.press(page.get_by_role("link", name="Limits"))
    keys.fill(page.get_by_label("Limits"), " ")
    page.keyboard.press("Enter")
    told("are as configured")
    for state, words in (("half-open", "Changed: "), ("auto", "Changed: ")):
        keys.press(page.get_by_role("link", name="Breakers"))
        keys.choose(page.get_by_label("State"), state)
        keys.press(page.get_by_role("button", name="Set breakers"))
        told(words)
    page.goto("/providers/roosevelt")
    keys.press(page.get_by_role("link", name="Rotate keys"))
    keys.press(page.get_by_role("button", name="Rotate"))
    expect(page.get_by_text("No new key is staged for the primary slot")).to_be_visible()
    page.goto("/tokens")
    keys.press(page.get_by_role("link", name="Make a token"))
    keys.fill(page.get_by_label("Name"), "by-keys")
    keys.choose(page.get_by_label("Role"), "operator")
    keys.press(page.get_by_role("button", name="Make the token"))
    expect(page.get_by_text("Copy it now")).to_be_visible()
    keys.press(page.get_by_role("main").get_by_role("link", name="Tokens"))
    keys.press(page.get_by_role("link", name="Revoke that of by-keys"))
    keys.press(page.get_by_role("button", name="Revoke"))
    told("is revoked")
    gateway.webhooks.remove(hook)


def test_what_is_renewed_keeps_the_focus(visit: Visit, stack: Stack) -> None:
    """It stays with its job while others come, and goes to the list if its job goes."""
    gateway = stack.gateway
    gateway.providers.control("roosevelt").pause(actor="test")
    old = gateway.sync("roosevelt", "orgs", app="focused").id
    page = visit("operator")
    page.goto("/jobs?q=state:accepted+state:running+app:focused")
    keys = Keyboard(page)
    link = page.locator(f'a[href="/jobs/{old}"]')
    keys.reach(link)
    new = gateway.sync("roosevelt", "teachers", app="focused").id
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first).to_have_id(f"j-{new}")
    expect(link).to_be_focused()
    gateway.jobs.cancel(old)
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("region", name="Jobs")).to_be_focused()
    gateway.jobs.cancel(new)


def test_a_viewer_is_shown_no_action_and_refused_each(visit: Visit) -> None:
    """Also when the address is known."""
    page = visit("viewer")
    page.goto("/providers/lincoln")
    expect(page.get_by_role("link", name="Pause")).to_have_count(0)
    expect(page.get_by_role("link", name="Tokens")).to_have_count(0)
    page.goto("/providers/lincoln/pause")
    expect(page.get_by_role("heading", level=1)).to_have_text("The caller may not do that")
    expect(page.locator("main")).to_contain_text("needs the role operator or admin")
