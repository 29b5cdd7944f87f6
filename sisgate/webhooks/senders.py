"""The threads of one process that deliver messages, while there are any to deliver.

A slow receiver must not take the slot of a call or of the planner, so messages are not Celery tasks
but sent beside the pool, by the worker that has the fleet's duties.
"""

import threading
from collections.abc import Callable

from sisgate.errors import SisgateError
from sisgate.logs import get_logger
from sisgate.settings.webhooks import WebhookConfig
from sisgate.webhooks.delivery import Deliveries

log = get_logger()

THREADS = 8
"""Messages that a worker sends at a time."""


class Senders:
    """Up to `THREADS` threads. Each one that finds a message starts another; at none, it ends."""

    def __init__(self, deliveries: Deliveries, config: Callable[[], WebhookConfig]) -> None:
        self._deliveries = deliveries
        self._config = config
        self._lock = threading.Lock()
        self._alive: set[threading.Thread] = set()
        self._is_stopped = False

    def start(self) -> None:
        """Deliver what is due, in threads of its own.

        Raises `DatabaseUnavailable`, and `CredentialError` without a master key.
        """
        if self._deliveries.has_due():
            self._start_one()

    def _start_one(self) -> None:
        thread = threading.Thread(target=self._run, name="sisgate-webhooks", daemon=True)
        with self._lock:
            if self._is_stopped or len(self._alive) >= THREADS:
                return
            self._alive.add(thread)
        thread.start()

    def stop(self) -> None:
        """Claim nothing more; what is under way is finished."""
        self._is_stopped = True

    def join(self, seconds: float) -> None:
        """Wait until nothing is delivered any more, for each thread at most so long."""
        while alive := self._snapshot():
            alive[0].join(seconds)
            if alive[0].is_alive():
                return

    def _snapshot(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._alive)

    def _run(self) -> None:
        try:
            while not self._is_stopped:
                config = self._config()
                claimed = self._deliveries.claim(config)
                if claimed is None:
                    return
                self._start_one()
                result = self._deliveries.finish(claimed, config)
                if result.error is not None:
                    webhook, number = claimed.webhook.id, claimed.message.number
                    log.info(
                        "webhook_failed", webhook=webhook, message=number,
                        status=result.status, reason=result.error,
                    )  # fmt: skip
        except SisgateError as error:
            log.warning("webhook_not_sent", code=error.code, reason=error.message)
        except Exception:
            log.exception("webhook_not_sent")
        finally:
            with self._lock:
                self._alive.discard(threading.current_thread())
