"""Sending a message to a channel, by apprise: mail, Slack, Teams, webhooks and many more.

The URL of a channel holds its secret. It is read where it is used, and never shown or logged.
"""

from __future__ import annotations

import logging

from sisgate.domain.alert_states import AlertSeverity
from sisgate.settings.alerts import AlertChannel
from sisgate.settings.load import read_secret_variable
from sisgate.start_up import require_extras

KINDS = {
    AlertSeverity.INFO: "info",
    AlertSeverity.WARNING: "warning",
    AlertSeverity.CRITICAL: "failure",
}
"""apprise's names of the severities."""


def url_of(channel: AlertChannel) -> str | None:
    """Return the URL of a channel, None if this process does not have it."""
    if channel.url_env is not None:
        return (read_secret_variable(channel.url_env) or "").strip() or None
    assert channel.url_file is not None
    try:
        return channel.url_file.read_text("utf-8").strip() or None
    except OSError:
        return None


def place_of(channel: AlertChannel) -> str:
    """Return where the URL of a channel is to be found, for messages."""
    if channel.url_env is not None:
        return f"the environment variable {channel.url_env}"
    return f"the file {channel.url_file}"


def send(url: str, title: str, body: str, severity: AlertSeverity) -> str | None:
    """Send a message; return why it failed, None if it was sent. Never raises."""
    require_extras("Alerts by a channel", "alerts")
    import apprise

    # It logs what it sends to, in part.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    sender = apprise.Apprise()
    if not sender.add(url):
        return "the URL is not one that apprise knows"
    kind = apprise.NotifyType(KINDS[severity])
    try:
        is_sent = sender.notify(title=title, body=body, notify_type=kind)
    except Exception as error:  # noqa: BLE001 - its text may hold the URL
        return f"it failed ({type(error).__name__})"
    return None if is_sent else "the receiver did not accept it, or cannot be reached"
