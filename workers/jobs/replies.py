"""Results for apps that have only Celery, by Celery's own `rpc://`: one message to who asked.

Nothing is kept. The reply goes to the queue that the message names in `reply_to`, which an app
with `result_backend = "rpc://"` reads, and is gone after a while if nobody does.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import structlog
from celery.backends.rpc import RPCBackend
from kombu.exceptions import OperationalError

from sisgate.errors import BrokerUnavailable, SisgateError
from sisgate.redis.client import RedisClient
from sisgate.redis.errors import RedisError

log = structlog.get_logger()

REPLY_SECONDS = 3600
"""How long a reply that nobody reads stays in Redis."""


class Replies(RPCBackend):
    """The backend of the tasks that apps ask for."""

    def __init__(self, app: Any, client: Callable[[], RedisClient]) -> None:
        super().__init__(app)
        # A task that waits for Redis here would keep its slot.
        self.retry_policy = {"max_retries": 1, "interval_start": 0, "interval_max": 0}
        self._client = client

    def store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None,
        request: Any = None, **_: Any,
    ) -> Any:  # fmt: skip
        """Send the result, if anybody waits for it. A Redis that is away now costs the reply only.

        Of an error that is not ours only the name is sent, and no traceback: both may hold data.
        """
        if request is None or not _is_reply_queue(request.reply_to):
            return result
        reply = result
        if isinstance(result, Exception) and not isinstance(result, SisgateError):
            reply = RuntimeError(f"sisgate failed ({type(result).__name__}); see its worker's log")
        try:
            super().store_result(task_id, reply, state, request=request)
            self._client().expire(request.reply_to, REPLY_SECONDS)
        except (OperationalError, BrokerUnavailable, RedisError, OSError) as error:
            log.warning("reply_lost", task=task_id, reason=type(error).__name__)
        return result


def _is_reply_queue(name: object) -> bool:
    """Whether a queue can be that of an app's replies, which Celery names by a UUID.

    Any other name may be a queue of the fleet, or no queue at all.
    """
    if not isinstance(name, str):
        return False
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
