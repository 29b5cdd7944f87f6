"""What people do in the console, in a real browser, with a real fleet behind it."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import Visit

PAGES = ("/",)


def test_a_token_opens_the_console_and_logging_out_closes_it(visit: Visit) -> None:
    """A wrong one is refused in words."""
    page = visit("viewer")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
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
    page.get_by_text("Settings", exact=True).click()
    page.get_by_role("group", name="Single-key shortcuts").get_by_label("off").check()
    page.get_by_role("button", name="Save").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_breaks_a_rule_of_accessibility(visit: Visit, theme: str) -> None:
    """By axe, at both widths; and none is wider than its screen."""
    problems = []
    for width in (1280, 390):
        page = visit("admin", width=width, theme=theme)
        for path in PAGES:
            page.goto(path)
            found = Axe().run(page)
            problems += [f"{path} {width} {each['id']}" for each in found.response["violations"]]
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                problems.append(f"{path} {width} is {wide} wide")
    assert problems == []
