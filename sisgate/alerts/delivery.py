"""Sending what the outbox of alerts holds, until it has arrived.

A message is claimed for a while, so any process may send it and none that dies keeps it. One that
fails waits, for longer each time, and is given up only if its channel is removed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import structlog

from sisgate.alerts import channels
from sisgate.clock import Clock
from sisgate.domain.alert_states import AlertMessageState, AlertSeverity
from sisgate.errors import SisgateError
from sisgate.ledger import alerts as ledger
from sisgate.ledger.database import Database
from sisgate.settings.alerts import AlertChannel, AlertsConfig

log = structlog.get_logger()

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
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Send what is due in a thread of its own, unless one does: receivers may be slow."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._database.read() as session:
            if not ledger.has_due(session, self._clock.now()):
                return
        self._thread = threading.Thread(target=self._run, name="sisgate-alerts", daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait, for at most so long, for what is being sent."""
        if self._thread is not None:
            self._thread.join(seconds)

    def deliver_one(self) -> bool:
        """Send the oldest message that is due; return whether there was one."""
        with self._gate, self._database.write() as session:
            message = ledger.claim(session, self._clock.now(), LEASE)
            if message is None:
                return False
            number, attempt, name = message.id, message.attempt, message.channel
            title, body, severity = message.title, message.body, message.severity
        channel = self._config().channels.get(name)
        if channel is None:
            gone = "its channel is not configured any more"
            values: dict[str, Any] = {"state": AlertMessageState.DROPPED.value, "error": gone}
        else:
            error = sent(channel, title, body, AlertSeverity(severity))
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

    def _run(self) -> None:
        try:
            while self.deliver_one():
                pass
        except SisgateError as error:
            log.warning("alerts_not_sent", code=error.code, reason=error.message)
        except Exception:
            log.exception("alerts_not_sent")


def sent(channel: AlertChannel, title: str, body: str, severity: AlertSeverity) -> str | None:
    """Send a message to a channel now; return why it failed, None if it was sent."""
    url = channels.url_of(channel)
    if url is None:
        return f"its URL is not here: {channels.place_of(channel)} is not set or cannot be read"
    return channels.send(url, title, body, severity)
