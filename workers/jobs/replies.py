"""Results for apps that have only Celery, by Celery's own `rpc://`: one message to the sender.

Nothing is stored. The reply goes to the queue named in the message's `reply_to`, which an app with
`result_backend = "rpc://"` reads; unread, it expires.
"""

import uuid
from collections.abc import Callable
from typing import Any

from celery.backends.rpc import RPCBackend
from kombu.exceptions import OperationalError

from sisgate.errors import BrokerUnavailable, SisgateError
from sisgate.logs import get_logger
from sisgate.redis.client import RedisClient
from sisgate.redis.errors import RedisError

log = get_logger()

REPLY_SECONDS = 3600
"""How long an unread reply stays in Redis."""


class Replies(RPCBackend):
    """The result backend of the tasks that apps send."""

    def __init__(self, app: Any, client: Callable[[], RedisClient]) -> None:
        super().__init__(app)
        # A task waiting here for Redis would occupy its slot.
        self.retry_policy = {"max_retries": 1, "interval_start": 0, "interval_max": 0}
        self._client = client

    def store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None,
        request: Any = None, **_: Any,
    ) -> Any:  # fmt: skip
        """Send the result, if anybody waits for it. Without Redis only the reply is lost.

        Of an error that is not a `SisgateError` only the name is sent: message and traceback may
        hold data.
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
    """Whether a queue can be an app's reply queue, which Celery names by a UUID.

    Any other name may be one of the fleet's queues, or none at all.
    """
    if not isinstance(name, str):
        return False
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
