"""Sending a message to a channel, by apprise: mail, Slack, Teams, webhooks and many more.

The URL of a channel holds its secret. It is read where it is used, and never shown or logged.
"""

import json
import signal
import subprocess
import sys
from contextlib import suppress

from sisgate.alerts.sender import FAILURES
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

RECOVERED = "success"
"""apprise's name of good news."""

SEND_SECONDS = 30
"""How long sending one message may take."""

MOST_CHARACTERS = 20_000
"""The length of the longest message."""


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


def send(url: str, title: str, body: str, kind: str) -> str | None:
    """Send a message of a kind, in apprise's words; return why it failed, None if it was sent.

    It never raises. A process of its own sends it, which ends within `SEND_SECONDS` whatever the
    receiver does.
    """
    require_extras("Alerts by a channel", "alerts")
    order = {"url": url, "title": title, "body": body[:MOST_CHARACTERS], "kind": kind}
    try:
        sender = subprocess.Popen(
            [sys.executable, "-m", "sisgate.alerts.sender", str(SEND_SECONDS)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        return f"no process can be started to send it: {error.strerror}"
    assert sender.stdin is not None
    with suppress(BrokenPipeError), sender.stdin as stdin:
        stdin.write(json.dumps(order).encode() + b"\n")
    code = sender.wait()
    if code == -signal.SIGALRM:
        return f"the receiver has not accepted it within {SEND_SECONDS} s"
    return None if code == 0 else FAILURES.get(code, f"its process ended with code {code}")
