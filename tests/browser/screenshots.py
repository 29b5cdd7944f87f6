"""Writes the pictures of docs/img from a running service without tokens.

`python -m tests.browser.screenshots http://127.0.0.1:8750`: wide ones are light, narrow ones dark.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "img"
PAGES = {
    "overview": "/", "alerts": "/alerts", "providers": "/providers", "processes": "/processes",
    "jobs": "/jobs", "held": "/held", "schedules": "/schedules", "datasets": "/datasets",
    "quarantine": "/quarantine", "webhooks": "/webhooks", "configuration": "/configuration",
    "audit": "/audit", "tokens": "/tokens",
}  # fmt: skip


def main(url: str) -> None:
    """Take a picture of each page at both widths."""
    found = subprocess.run(
        [str(ROOT / ".ci" / "find-chromium")], capture_output=True, text=True, check=True
    )
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found.stdout.strip(), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(f"{url}/providers")
        provider = re.findall(r'href="(/providers/[^"/]+)"', page.content())[-1]
        page.goto(f"{url}/jobs?q=state:done")
        job = re.findall(r'href="(/jobs/[0-9a-f-]{36})"', page.content())[0]
        addresses = PAGES | {"provider": provider, "job": job, "pause": f"{provider}/pause"}
        for width, theme in ((1280, "light"), (390, "dark")):
            page = browser.new_page(
                viewport={"width": width, "height": 900 if width > 400 else 760},
                color_scheme="dark" if theme == "dark" else "light",
            )
            for name, path in addresses.items():
                page.goto(url + path)
                page.wait_for_timeout(800)
                page.screenshot(
                    path=FOLDER / f"console-{name}-{width}.jpg", type="jpeg", quality=70
                )
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
