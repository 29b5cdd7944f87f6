"""Writes the pictures of docs/img: wide ones are light, narrow ones dark.

`python -m tests.browser.screenshots` takes those of the console, from the showroom of the tests.
With the address of a running service without tokens, one of Flower and its login
(`http://127.0.0.1:8750 http://127.0.0.1:5555 USER:PASSWORD`), it takes those of Flower.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from testbed.showroom import showroom

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "img"
PAGES = {
    "overview": "/", "alerts": "/alerts", "providers": "/providers", "processes": "/processes",
    "jobs": "/jobs", "held": "/held", "schedules": "/schedules", "datasets": "/datasets",
    "quarantine": "/quarantine", "webhooks": "/webhooks", "configuration": "/configuration",
    "audit": "/audit", "tokens": "/tokens", "errors": "/errors", "sla": "/sla",
    "bulk": "/jobs/bulk/retry?q=state:cancelled", "token": "/tokens/new",
    "disclosures": "/disclosures", "provider": "/providers/roosevelt", "job": "/jobs/{job_id}",
    "pause": "/providers/lincoln/pause", "records": "/datasets/lincoln/students/records",
    "changes": "/datasets/lincoln/students/changes", "deletions": "/held/{held}",
    "webhook": "/webhooks/{webhook}",
}  # fmt: skip
FLOWER = {"workers": "/workers", "tasks": "/tasks", "broker": "/broker"}
SIZES = ((1280, 900, "light"), (390, 760, "dark"))


def main(url: str = "", flower: str = "", login: str = "") -> None:
    """Take a picture of each page at both widths."""
    found = subprocess.run(
        [str(ROOT / ".ci" / "find-chromium")], capture_output=True, text=True, check=True
    )
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found.stdout.strip(), args=["--no-sandbox"]
        )
        if flower:
            page = browser.new_page()
            page.goto(f"{url}/jobs?q=state:done")
            job = re.findall(r'href="/jobs/([0-9a-f-]{36})"', page.content())[0]
            user, _, password = login.partition(":")
            pages = FLOWER | {"task": f"/task/{job}"}
            take(browser, flower, "flower", pages, login=(user, password))
        else:
            with showroom(rich=True) as room:
                pages = {name: path.format(**room.places) for name, path in PAGES.items()}
                take(browser, room.service.url, "console", pages, before=room.catch_up)
        browser.close()


def take(
    browser: Browser,
    url: str,
    name: str,
    pages: Mapping[str, str],
    *,
    login: tuple[str, str] | None = None,
    before: Callable[[], object] = lambda: None,
) -> None:
    """Take a picture of some pages of one site, each after what is done `before`."""
    for width, height, theme in SIZES:
        page = browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            http_credentials={"username": login[0], "password": login[1]} if login else None,
        )
        for each, path in pages.items():
            before()
            page.goto(url + path)
            page.wait_for_timeout(800)
            page.screenshot(path=FOLDER / f"{name}-{each}-{width}.jpg", type="jpeg", quality=70)


if __name__ == "__main__":
    main(*(each.rstrip("/") for each in sys.argv[1:4]))
