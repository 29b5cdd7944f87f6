"""The worker's consumer: it lists provider queues, but their messages are not pushed to it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from celery.app.amqp import AMQP, Queues
from celery.worker.consumer import Consumer
from kombu.entity import Queue
from kombu.messaging import Consumer as KombuConsumer
from kombu.transport import redis as kombu_redis
from kombu.transport.redis import QoS as RedisQoS
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads

import workers.admission.remote_control  # noqa: F401  # replaces commands by name
from sisgate.clock import SystemClock
from sisgate.errors import BrokerUnavailable
from sisgate.quarantine import NO_QUEUE
from sisgate.redis.errors import REFUSALS, RedisError
from workers.admission.deliveries import SteadyQoS
from workers.admission.following import ConfigurationFollower
from workers.admission.messages import NotOurs, check, put_aside
from workers.admission.queues import ServedQueues, is_admitted
from workers.runtime import runtime_of

LOST_CONNECTION = (RedisError, OSError, BrokerUnavailable)
"""Errors treated as a lost connection besides kombu's own."""

REFUSED_SECONDS = 1.0
"""How long a worker waits before it reconnects to a Redis that refuses commands."""

EVENTS_SECONDS = 0.25
"""How long task events, for Flower, are collected before they are sent together."""

REPLY_QUEUE = ".reply.celery.pidbox"
"""The suffix of the queues that receive replies to remote control."""


class PushConsumer(KombuConsumer):
    """Consumes all queues but those admitted by permit, which only stay listed."""

    _admitted: frozenset[str] | None = None

    @property
    def admitted(self) -> frozenset[str]:
        """The names of the listed queues that are admitted by permit: there may be thousands."""
        if self._admitted is None:
            listed = self.queues or ()
            self._admitted = frozenset(queue.name for queue in listed if is_admitted(queue))
        return self._admitted

    def add_queue(self, queue: Queue) -> Any:
        """List a queue."""
        self._admitted = None
        return super().add_queue(queue)

    def cancel_by_queue(self, queue: Queue | str) -> None:
        """List a queue no more, nor consume it."""
        self._admitted = None
        super().cancel_by_queue(queue)

    def _basic_consume(self, queue: Queue, *args: Any, **kwargs: Any) -> Any:
        if is_admitted(queue):
            return None
        return super()._basic_consume(queue, *args, **kwargs)


class AdmittingAMQP(AMQP):
    """Celery's AMQP with our consumer, and with the queues of the configuration in force."""

    Consumer = PushConsumer
    queues_cls = ServedQueues

    def Queues(self, *args: Any, **options: Any) -> Queues:  # noqa: N802 - Celery's name
        """Return the queues, those of the providers included."""
        served: ServedQueues = super().Queues(*args, **options)
        served.configure(runtime_of(self.app).configuration.current().providers)
        return served


class CheckingChannel(kombu_redis.Channel):
    """kombu's channel, which survives a pushed message that cannot be read."""

    QoS = SteadyQoS

    _shared: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        # kombu makes a client for each command, which takes longer than the command.
        if not asynchronous and getattr(self._shared, "connection_pool", None) is self.pool:
            return self._shared
        client = super()._create_client(asynchronous=asynchronous)
        if not asynchronous:
            self._shared = client
        # Messages are pushed through this client; kombu parses them where an error ends the worker.
        client.set_response_callback("BRPOP", self._readable)
        return client

    def _readable(self, popped: Any, **_: Any) -> Any:
        """Return what was popped; None, as if nothing was, for what is not kombu's JSON."""
        if not popped:
            return None
        key, text = popped
        try:
            loads(text)
        except Exception as error:  # noqa: BLE001  # decimals, dates and UUIDs have errors of their own
            queue = bytes_to_str(key).partition(self.sep)[0]
            with self.conn_or_acquire() as client:
                put_aside(client, text, error, queue)
            return None
        return key, text

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Acknowledge, unless the connection that delivered the message is gone.

        A task may end after its connection was replaced. Its message is then redelivered after the
        visibility timeout, which the ledger's claims make harmless. kombu 5.7.0 raises an error
        that ends the worker.
        """
        if not self._is_gone:
            super().basic_ack(delivery_tag, multiple=multiple)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Reject, unless the connection is gone, as with `basic_ack`."""
        if not self._is_gone:
            super().basic_reject(delivery_tag, requeue=requeue)

    @property
    def _is_gone(self) -> bool:
        return self.connection is None or self.connection.client is None


class CheckingTransport(kombu_redis.Transport):
    """kombu's transport, which quarantines messages that would crash Celery."""

    Channel = CheckingChannel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection_errors = (*self.connection_errors, *LOST_CONNECTION)

    def _deliver(self, message: Any, queue: str) -> None:
        # Remote control and events have their own formats: they arrive by pub/sub, and replies to
        # remote control (starting workers query the others) by a queue of the sender's.
        is_broadcast = any(queue in channel._fanout_queues for channel in self.channels)
        if is_broadcast or queue.endswith(REPLY_QUEUE):
            super()._deliver(message, queue)
            return
        try:
            check(message)
            super()._deliver(message, queue)
        except (ValueError, AttributeError, TypeError, LookupError) as error:
            # Raised before it became a task; later errors are handled in `create_task_handler`.
            with self.channels[0].conn_or_acquire() as client:
                put_aside(client, dumps(message), error, queue)


class AdmittingConsumer(Consumer):
    """Celery's consumer, which survives a failing Redis and malformed messages."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A Redis that refuses commands (out of memory, a replica, a key of another type, no
        # permission) is as good as lost. Celery would treat these as bugs, and exit.
        self.connection_errors = (*self.connection_errors, *LOST_CONNECTION)
        self._clock = SystemClock()
        self._flush_at = 0.0
        self.following = ConfigurationFollower(self)

    def on_send_event_buffered(self) -> None:
        """Send the events of tasks a little later: Celery would send each by itself."""
        now = self._clock.monotonic()
        # By time, not by a flag: a new connection drops the timers of the old one.
        if self.hub and now >= self._flush_at:
            self._flush_at = now + EVENTS_SECONDS
            self.hub.call_later(EVENTS_SECONDS, self._flush_events)

    def shutdown(self) -> None:
        """Stop, and send the last events before."""
        with suppress(*LOST_CONNECTION):
            self._flush_events()
        super().shutdown()

    def update_strategies(self) -> None:
        """Make the handlers of all tasks, those of the providers included."""
        # After a lost connection Celery calls this before it has another consumer.
        listening, connection = cast(Any, self).task_consumer, cast(Any, self).connection
        if listening and listening.channel.connection is not connection.transport:
            self.task_consumer = None
        self.following.follow()
        super().update_strategies()

    def add_task_queue(self, queue: str, *args: Any, **options: Any) -> None:
        """Serve a provider's queue, those of a pool (`pool:north`), or any other."""
        if self.app.amqp.queues.include(queue):
            self.following.serve()
        else:
            super().add_task_queue(queue, *args, **options)

    def cancel_task_queue(self, queue: str) -> None:
        """Serve a queue, or those of a pool, no more."""
        self.app.amqp.queues.deselect(queue)
        self.following.serve()

    def connection_for_read(self, heartbeat: Any = None) -> Any:
        """Return a connection that checks what it reads."""
        name = f"{CheckingTransport.__module__}:{CheckingTransport.__name__}"
        return self.ensure_connected(
            self.app.connection_for_read(heartbeat=heartbeat, transport=name)
        )

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Return Celery's message handler, with its errors confined to the faulty message."""
        handle = super().create_task_handler(*args, **kwargs)
        connection_errors = self.connection_errors

        def handle_or_refuse(message: Any) -> None:
            try:
                handle(message)
            except connection_errors:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, the worker must live
                self._refuse(message, error)

        return handle_or_refuse

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Quarantine a message that is not a task."""
        self._refuse(message, NotOurs("no task"))

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Quarantine a task that this worker does not have."""
        self._refuse(message, NotOurs("unknown task"))

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Quarantine a task whose message is malformed."""
        self._refuse(message, exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Quarantine what cannot be decoded."""
        self._refuse(message, exc)

    def _refuse(self, message: Any, reason: Exception) -> None:
        runtime = runtime_of(self.app)
        queue = message.delivery_info.get("routing_key", NO_QUEUE)
        # Not kept: a message that is put back later must not carry an old permit.
        permit = message.headers.pop("sisgate_permit", None) or {}
        put_aside(runtime.redis, dumps(message._raw), reason, queue)
        if permit:
            with suppress(BrokerUnavailable):
                runtime.limiter.hand_back(queue, permit["id"])
        if not message.acknowledged:
            message.reject()

    def on_connection_error_after_connected(self, exc: BaseException) -> Any:
        """Reconnect, even if Redis cannot be reached while messages are unacked.

        kombu 5.7.0 then fails inside the handler (QoS.restore_unacked has no connection) and the
        worker exits. Unacked messages are redelivered after the visibility timeout, which the
        ledger's claims make harmless.
        """
        _pause_if_refused(exc)
        try:
            return super().on_connection_error_after_connected(exc)
        except Exception as failure:  # noqa: BLE001  # whatever it is, the worker must live
            self._drop_connection(failure)
            return None

    def on_connection_error_before_connected(self, exc: BaseException) -> Any:
        """Reconnect, after a pause if Redis refused a command while connecting."""
        _pause_if_refused(exc)
        return super().on_connection_error_before_connected(exc)

    def _drop_connection(self, failure: Exception) -> None:
        from celery.worker.consumer.consumer import logger

        logger.warning("the broker connection was dropped (%s)", type(failure).__name__)
        channel = getattr(getattr(self, "task_consumer", None), "channel", None)
        qos = getattr(channel, "qos", None)
        if isinstance(qos, RedisQoS):
            qos._delivered.clear()  # restored by the visibility timeout
        self.connection = None


def _pause_if_refused(error: BaseException) -> None:
    # Reconnecting would succeed immediately, and the next command would be refused as well.
    if isinstance(error, REFUSALS):
        SystemClock().sleep(REFUSED_SECONDS)
