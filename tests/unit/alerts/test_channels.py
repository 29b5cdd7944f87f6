"""The URLs of channels that the documentation shows."""

import re
from pathlib import Path

import apprise
import pytest

PAGE = Path(__file__).parents[3] / "docs/how-to/get-alerts.md"
URLS = re.findall(r"^\| [^|]*\|[^|]*`(\w+://[^`]+)`", PAGE.read_text("utf-8"), re.MULTILINE)


def test_there_are_some() -> None:
    """Mail, Slack, Teams, a pager and a webhook."""
    assert len(URLS) == 5


@pytest.mark.parametrize("url", URLS)
def test_apprise_knows_the_urls_that_the_page_shows(url: str) -> None:
    """Whoever copies one gets a channel."""
    assert apprise.Apprise().add(url)
