"""The process that sends one message by apprise. It ends in time, whatever the receiver does.

`python -m sisgate.alerts.sender SECONDS` reads the message as a line of JSON, because the URL is a
secret and arguments are not.
"""

from __future__ import annotations

import json
import signal
import sys

UNKNOWN_URL, REFUSED, BROKEN = 3, 4, 5
FAILURES = {
    UNKNOWN_URL: "the URL is not one that apprise knows",
    REFUSED: "the receiver did not accept it, or cannot be reached",
    BROKEN: "it cannot be sent: apprise failed",
}
"""What the codes mean that it ends with; 0 is sent, SIGALRM is too late."""


def main() -> int:
    """Send the message of the standard input; return 0, or a code of `FAILURES`."""
    # Not a timer of Python: what hangs may be in C, and nobody may be left to end this process.
    signal.alarm(int(sys.argv[1]))
    order = json.loads(sys.stdin.readline())
    try:
        import apprise

        sender = apprise.Apprise()
        if not sender.add(order["url"]):
            return UNKNOWN_URL
        kind = apprise.NotifyType(order["kind"])
        is_sent = sender.notify(title=order["title"], body=order["body"], notify_type=kind)
    except Exception:  # noqa: BLE001 - its text may hold the URL
        return BROKEN
    return 0 if is_sent else REFUSED


if __name__ == "__main__":
    sys.exit(main())
