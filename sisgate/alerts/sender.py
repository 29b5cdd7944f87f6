"""The process that sends one message by apprise. It ends in time, whatever the receiver does.

`python -m sisgate.alerts.sender SECONDS` reads the message as a line of JSON, because the URL is a
secret and arguments are not.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apprise import Apprise

UNKNOWN_URL, REFUSED, BROKEN = 3, 4, 5
FAILURES = {
    UNKNOWN_URL: "the URL is not one that apprise knows",
    REFUSED: "the receiver did not accept it, or cannot be reached",
    BROKEN: "it cannot be sent: apprise failed",
}
"""What the codes mean that it ends with; 0 is sent, SIGALRM is too late."""

LEAST_SPLIT = 1000
"""A service that takes fewer characters at once gets one message, cut off: SMS cost money."""


def channel_of(url: str) -> Apprise | None:
    """Return the channel of a URL, None if apprise does not know it.

    What is too long for its service comes in parts, unless the URL has an `overflow` of its own:
    apprise would send it whole, and Discord for one refuses that for ever.
    """
    import apprise

    channel = apprise.Apprise()
    if not channel.add(url):
        return None
    if "overflow=" not in url.lower():
        for service in channel:
            is_split = service.body_maxlen >= LEAST_SPLIT
            service.overflow_mode = (
                apprise.OverflowMode.SPLIT if is_split else apprise.OverflowMode.TRUNCATE
            )
    return channel


def tell(channel: Apprise, title: str, body: str, kind: str) -> bool:
    """Send plain text, which apprise writes as each service wants it; say whether all took it."""
    import apprise

    text = apprise.NotifyFormat.TEXT
    return bool(channel.notify(body, title, apprise.NotifyType(kind), body_format=text))


def main() -> int:
    """Send the message of the standard input; return 0, or a code of `FAILURES`."""
    # Not a timer of Python: what hangs may be in C, and nobody may be left to end this process.
    signal.alarm(int(sys.argv[1]))
    order = json.loads(sys.stdin.readline())
    try:
        channel = channel_of(order["url"])
        if channel is None:
            return UNKNOWN_URL
        is_sent = tell(channel, order["title"], order["body"], order["kind"])
    except Exception:  # noqa: BLE001 - its text may hold the URL
        return BROKEN
    return 0 if is_sent else REFUSED


if __name__ == "__main__":
    sys.exit(main())
