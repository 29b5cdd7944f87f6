"""The threads of one process that deliver messages, while there are any to deliver.

A slow receiver must not take the slot of a call or of the planner, so messages are not Celery tasks
but sent beside the pool, by the worker that has the fleet's duties.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from sisgate.errors import SisgateError
from sisgate.settings.webhooks import WebhookConfig
from sisgate.webhooks.delivery import Deliveries

log = structlog.get_logger()

THREADS = 8
"""Messages that a worker sends at a time."""


class Senders:
    """Up to `THREADS` threads, each of which ends when it finds nothing to deliver."""

    def __init__(self, deliveries: Deliveries, config: Callable[[], WebhookConfig]) -> None:
        self._deliveries = deliveries
        self._config = config
        self._lock = threading.Lock()
        self._alive: set[threading.Thread] = set()
        self._is_stopped = False

    def start(self) -> None:
        """Deliver what is due, in threads of its own. Raises `DatabaseUnavailable`."""
        if not self._deliveries.has_due():
            return
        with self._lock:
            missing = 0 if self._is_stopped else THREADS - len(self._alive)
            started = [
                threading.Thread(target=self._run, name="sisgate-webhooks", daemon=True)
                for _ in range(missing)
            ]
            self._alive.update(started)
        for thread in started:
            thread.start()

    def stop(self) -> None:
        """Claim nothing more; what is under way is finished."""
        self._is_stopped = True

    def join(self, seconds: float) -> None:
        """Wait for threads that deliver, each for at most so long."""
        with self._lock:
            alive = list(self._alive)
        for thread in alive:
            thread.join(seconds)

    def _run(self) -> None:
        try:
            while not self._is_stopped:
                result = self._deliveries.deliver_one(self._config())
                if result is None:
                    return
                if result.error is not None:
                    log.info("webhook_failed", status=result.status, reason=result.error)
        except SisgateError as error:
            log.warning("webhook_not_sent", code=error.code, reason=error.message)
        except Exception:
            log.exception("webhook_not_sent")
        finally:
            with self._lock:
                self._alive.discard(threading.current_thread())
