"""Every page of the console, as the application has them, by axe and at both widths.

Full of data, with nothing in it, with a mistake in it, and refused.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from testbed.axe import shortcomings
from testbed.keyboard import Keyboard
from testbed.showroom import Showroom, showroom
from tests.browser.conftest import WATCH, note_trouble

MORE = (
    "/alerts?state=resolved", "/errors?state=any&since=24h", "/jobs?q=wrong", "/audit?since=soon",
    "/jobs?q=provider:jefferson", "/jobs/{answered}", "/jobs/{unknown}", "/held/{held}",
    "/datasets/lincoln/students/records?start=x&deleted=yes", "/datasets?provider=lincoln",
    "/nothing", "/login",
)  # fmt: skip
"""Pages in another state than that of their route."""

FORMS = (
    ("/providers/lincoln/pause", {"Until": "soon"}, "Pause"),
    ("/tokens/new", {"Name": "ada"}, "Make the token"),
    ("/jobs/{answered}", {"Why you look": "a call"}, "Show student data"),
    ("/datasets/lincoln/students/records", {"Why you look": "a call"}, "Show student data"),
    ("/datasets/lincoln/students/records", {"Ids from": "7"}, "Show"),
    ("/disclosures", {"Provider": "lincoln", "Id at": "none"}, "Search"),
    ("/held/{held}", {"Why you look": "a call"}, "Show student data"),
    ("/jobs/bulk/retry?q=state:cancelled", {"Reason": "again"}, "Retry 1 job"),
    ("/login", {"Token": "sisgate_wrong"}, "Log in"),
)
"""Forms whose answer is a page: with a mistake, a new token, student data, an outcome."""


@pytest.fixture(params=["rich", "empty"], scope="module")
def room(request: pytest.FixtureRequest) -> Iterator[Showroom]:
    """A served installation, full of data or without any."""
    with showroom(rich=request.param == "rich") as made:
        yield made


@pytest.fixture
def page(chromium: Browser, room: Showroom, trouble: list[str]) -> Iterator[Page]:
    """A browser whose visitor may do everything, and see student data."""
    context = chromium.new_context(
        base_url=room.service.url, viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    context.add_init_script(WATCH)
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.on("console", lambda message: note_trouble(trouble, message))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    log_in(page, room, "admin", "sight")
    yield page
    context.close()


def log_in(page: Page, room: Showroom, *roles: str) -> None:
    """Begin a session of a visitor with some roles."""
    token = room.double.admin.tokens.add("visitor", roles).token
    assert token is not None
    page.goto("/login")
    page.get_by_label("Token").fill(token.get_secret_value())
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")


def test_no_page_breaks_a_rule_of_accessibility(page: Page, room: Showroom) -> None:
    """In both themes; and none, nor a table in it, is wider than its screen."""
    problems: list[str] = []
    seen: set[str] = set()
    more = [each for each in MORE if "{" not in each or room.places]
    for path in (*room.addresses(), *(each.format(**room.places) for each in more)):
        page.goto(path)
        here = page.url.removeprefix(room.service.url)
        if here in seen:
            continue
        seen.add(here)
        problems += [f"{here}: {each}" for each in shortcomings(page)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("room", ["rich"], indirect=True)
def test_the_keyboard_alone_does_what_is_done_to_exceptions(page: Page, room: Showroom) -> None:
    """Requeuing, settling, error patterns, payload sight, sending an event again; with reasons."""
    keys, at = Keyboard(page), room.places

    def act(link: str, submit: str, told: str, answer: tuple[str, str] = ("Reason", "why")) -> None:
        keys.press(page.get_by_role("link", name=link, exact=True))
        keys.fill(page.get_by_label(answer[0]), answer[1])
        keys.press(page.get_by_role("button", name=submit, exact=True))
        expect(page.get_by_role("status").filter(has_text=told)).to_be_focused()

    page.goto("/quarantine")
    act(f"Requeue {at['message'][:8]}", "Requeue", "is in the queue lincoln again")
    page.goto(f"/jobs/{at['unknown']}")
    act("Settle", "Settle", "The job is settled")
    page.goto(f"/errors/{at['pattern']}")
    act("Mark as fixed", "Mark as fixed", "Marked as fixed", ("Fixed in", "12.4"))
    act("Reopen", "Reopen", "It is open again")
    page.goto("/webhooks")
    keys.press(page.get_by_role("link", name="gradebook webhook"))
    act(f"Send again event {at['dead']}", "Send again", "Sent again: 1 event")
    page.goto(f"/jobs/{at['answered']}")
    keys.fill(page.get_by_label("Why you look at student data"), "a call of the parents")
    keys.press(page.get_by_role("button", name="Show student data"))
    expect(page.get_by_label("Body of the response")).to_contain_text("users")
    kept = [(each.action, each.reason) for each in room.double.admin.audit.tail(limit=40)]
    for action in ("quarantine:message:requeue", "jobs:job:resolve", "errors:pattern:reopen",
                   "webhooks:webhook:redeliver"):  # fmt: skip
        assert (action, "why") in kept
    assert ("errors:pattern:resolve", "12.4") in kept


@pytest.mark.parametrize("room", ["rich"], indirect=True)
def test_what_forms_answer_and_refusals_break_none_either(page: Page, room: Showroom) -> None:
    """Mistakes, student data, a new token, a dialog, a refused log-in, 403 and 500."""
    problems: list[str] = []

    def look(what: str) -> None:
        problems.extend(f"{what}: {each}" for each in shortcomings(page))

    for path, answers, button in FORMS:
        page.goto(path.format(**room.places))
        for label, value in answers.items():
            page.get_by_label(re.compile(f"^{label}")).fill(value)
        page.get_by_role("button", name=button, exact=True).click()
        look(f"{path} {button}")
    log_in(page, room, "viewer")
    page.goto("/tokens")
    look("403")
    page.goto("/")
    page.keyboard.press("?")
    look("the dialog of keys")
    with room.double.admin.context.database.write() as session:
        session.execute(text("DROP TABLE alert_silences"))
    answer = page.goto("/alerts")
    assert answer is not None
    assert answer.status >= 500
    look("500")
    assert not problems, "\n".join(problems)
