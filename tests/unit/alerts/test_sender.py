"""What services get: text in their own format, in parts that they take."""

from typing import Any

import apprise
import pytest

from sisgate.alerts.sender import channel_of, tell

BODY = "Warning: <powerschool> & more.\nAt fault: nobody.\n\nal_1\n"
MAIL = "mailtos://u:p@smtp.example.org?from=sisgate@example.org&to=oncall@example.org"
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544"
DISCORD = "discord://123456789/abcdefghijk"
SMS = f"twilio://AC{'1' * 32}:{'2' * 32}@15555555555/15555555556"


def sent(monkeypatch: pytest.MonkeyPatch, url: str, body: str) -> list[dict[str, Any]]:
    """Return what apprise would hand to the service of a URL, part by part."""
    parts: list[dict[str, Any]] = []

    def send(**part: Any) -> bool:
        parts.append(part)
        return True

    channel = channel_of(url)
    assert channel is not None
    for service in channel:
        monkeypatch.setattr(service, "send", send)
    assert tell(channel, "[warning] <powerschool>", body, "warning")
    return parts


def test_a_mail_is_text_with_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken for HTML, ten alerts were one paragraph, and a name in angle brackets was a tag."""
    (mail,) = sent(monkeypatch, MAIL, BODY)
    assert mail["body"].splitlines() == BODY.splitlines()
    assert mail["body_format"] is apprise.NotifyFormat.TEXT


def test_a_service_of_html_gets_no_tag_that_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telegram answers 400 to a tag it does not know, however often it is sent."""
    (message,) = sent(monkeypatch, TELEGRAM, BODY)
    assert "<powerschool>" not in message["body"]


def test_many_alerts_come_in_parts_that_the_service_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discord refuses more than 2000 characters, and nothing is left out."""
    lines = [f"alert {number} has a sentence that says what is wrong." for number in range(100)]
    parts = sent(monkeypatch, DISCORD, "\n".join(lines))
    assert len(parts) > 2
    assert all(len(part["body"]) <= 2000 for part in parts)
    assert "".join(part["body"] for part in parts).count("sentence") == 100


@pytest.mark.parametrize("url", [SMS, f"{DISCORD}?overflow=truncate"])
def test_what_costs_money_or_says_so_is_cut_off(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """One SMS for an outage, not twenty; and the URL has the last word."""
    assert len(sent(monkeypatch, url, BODY * 100)) == 1
