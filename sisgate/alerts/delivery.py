"""Sending what the outbox of alerts holds, until it has arrived: at least once, in order.

A message is claimed for a while, so any process may send it and none that dies keeps it. One that
fails waits, for longer each time, and those behind it with it; it is given up only if its channel
is removed. It arrives twice only if its process ends, or loses the ledger, after sending it.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

from sisgate.alerts import channels
from sisgate.clock import Clock
from sisgate.domain.alert_states import AlertMessageState, AlertSeverity
from sisgate.errors import SisgateError
from sisgate.ledger import alerts as ledger
from sisgate.ledger.database import Database
from sisgate.logs import get_logger
from sisgate.settings.alerts import AlertChannel, AlertsConfig

log = get_logger()

LEASE = timedelta(seconds=60)
"""How long a process has for sending one message."""

FIRST_RETRY, LAST_RETRY = timedelta(seconds=15), timedelta(minutes=15)
"""How long a message waits after a failure; twice as long after each further one."""


class AlertDeliveries:
    """Sends messages; `gate` is held while the ledger is used. Raises `DatabaseUnavailable`."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        config: Callable[[], AlertsConfig],
        *,
        gate: AbstractContextManager[None] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._config = config
        self._gate = gate or nullcontext()
        self._threads: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Send what is due, each channel in a thread of its own: receivers may be slow."""
        self._threads = {name: each for name, each in self._threads.items() if each.is_alive()}
        with self._database.read() as session:
            due = ledger.due_channels(session, self._clock.now())
        for name in due:
            if name not in self._threads:
                self._threads[name] = threading.Thread(
                    target=self._run, args=(name,), name=f"sisgate-alerts-{name}", daemon=True
                )
                self._threads[name].start()

    def join(self, seconds: float) -> None:
        """Wait, for at most so long for each channel, for what is being sent."""
        for thread in self._threads.values():
            thread.join(seconds)

    def deliver_one(self, name: str) -> bool:
        """Send the oldest message of a channel if it is due; return whether it was."""
        begun = self._clock.monotonic()
        with self._gate, self._database.write() as session:
            message = ledger.claim(session, name, self._clock.now(), LEASE)
            if message is None:
                return False
            number, attempt = message.id, message.attempt
            title, body = message.title, message.body
            kind = channels.KINDS[AlertSeverity(message.severity)]
            kind = channels.RECOVERED if message.recovered else kind
        if self._clock.monotonic() - begun > LEASE.total_seconds() - channels.SEND_SECONDS:
            return True  # frozen since it was claimed: another process may send it
        channel = self._config().channels.get(name)
        if channel is None:
            gone = "its channel is not configured any more"
            values: dict[str, Any] = {"state": AlertMessageState.DROPPED.value, "error": gone}
        else:
            error = sent(channel, title, body, kind)
            values = self._outcome(error, attempt)
            if error is not None:
                log.warning("alert_not_sent", channel=name, message=number, reason=error)
        with self._gate, self._database.write() as session:
            ledger.settle(session, number, attempt, **values)
        return True

    def _outcome(self, error: str | None, attempt: int) -> dict[str, Any]:
        now = self._clock.now()
        if error is None:
            return {"state": AlertMessageState.SENT.value, "sent_at": now, "error": None}
        wait = min(LAST_RETRY, FIRST_RETRY * 2 ** min(attempt - 1, 10))
        return {"not_before": now + wait, "error": error[:300]}

    def _run(self, channel: str) -> None:
        try:
            while self.deliver_one(channel):
                pass
        except SisgateError as error:
            log.warning("alerts_not_sent", code=error.code, reason=error.message)
        except Exception:
            log.exception("alerts_not_sent")


def sent(channel: AlertChannel, title: str, body: str, kind: str) -> str | None:
    """Send a message to a channel now; return why it failed, None if it was sent."""
    url = channels.url_of(channel)
    if url is None:
        return f"its URL is not here: {channels.place_of(channel)} is not set or cannot be read"
    return channels.send(url, title, body, kind)
