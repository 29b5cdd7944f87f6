"""The worker's consumer: provider queues are shown, but their messages are not pushed to it."""

from __future__ import annotations

from typing import Any

from celery.app.amqp import AMQP
from celery.worker.consumer import Consumer
from kombu.entity import Queue
from kombu.messaging import Consumer as KombuConsumer
from kombu.transport.redis import QoS as RedisQoS

from sisgate.broker import ADMISSION_MARK, CALL_TASK_PREFIX, LIMITS_TASK


def is_admitted(queue: Queue) -> bool:
    """Whether a queue's messages are taken by permit."""
    arguments = getattr(queue, "queue_arguments", None)
    return ADMISSION_MARK in (arguments or {})


class PushConsumer(KombuConsumer):
    """Consumes all queues but those admitted by permit, which stay in its list to be seen."""

    def _basic_consume(self, queue: Queue, *args: Any, **kwargs: Any) -> Any:
        if is_admitted(queue):
            return None
        return super()._basic_consume(queue, *args, **kwargs)


class AdmittingAMQP(AMQP):
    """Celery's AMQP with our consumer."""

    Consumer = PushConsumer


class AdmittingConsumer(Consumer):
    """Celery's consumer; its rate limits are the fleet's, and it survives a lost Redis."""

    known_limits: dict[str, Any] | None = None

    def reset_rate_limits(self) -> None:
        """Pass on a limit that `control.rate_limit` or Flower has set for a call task.

        Celery calls this on every worker whenever a limit may have changed. The worker's own
        buckets are not used: the limit goes to the fleet's limiter, by a task, for this process
        must not open connections to the database before it forks.
        """
        limits = {
            name.removeprefix(CALL_TASK_PREFIX): task.rate_limit
            for name, task in self.app.tasks.items()
            if name.startswith(CALL_TASK_PREFIX)
        }
        known = limits if self.known_limits is None else self.known_limits
        for provider, limit in limits.items():
            if known.get(provider) != limit:
                self.app.send_task(LIMITS_TASK, kwargs={"provider": provider, "limit": limit})
        self.known_limits = limits

    def on_connection_error_after_connected(self, exc: BaseException) -> Any:
        """Reconnect, also where Redis cannot be reached while messages are unacked.

        kombu 5.7.0 then fails inside the handler (QoS.restore_unacked has no connection) and the
        worker exits. What was unacked comes back by the visibility timeout, and the ledger's
        claims make a second delivery harmless.
        """
        try:
            return super().on_connection_error_after_connected(exc)
        except Exception as failure:  # noqa: BLE001  # whatever it is, the worker must live
            self._drop_connection(failure)
            return None

    def _drop_connection(self, failure: Exception) -> None:
        from celery.worker.consumer.consumer import logger

        logger.warning("the broker connection was dropped (%s)", type(failure).__name__)
        channel = getattr(getattr(self, "task_consumer", None), "channel", None)
        qos = getattr(channel, "qos", None)
        if isinstance(qos, RedisQoS):
            qos._delivered.clear()  # restored by the visibility timeout
        self.connection = None
