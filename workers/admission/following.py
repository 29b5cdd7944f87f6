"""A worker follows the configuration: its providers' tasks, and the queues that it serves."""

import threading
from collections.abc import Mapping
from typing import Any

from celery import bootsteps
from celery.worker.consumer.tasks import Tasks

from sisgate.broker import call_task, visibility_seconds
from sisgate.configuration import FleetConfiguration
from sisgate.logs import get_logger
from sisgate.settings import ProviderConfig
from workers.admission.call_tasks import configured
from workers.admission.queues import ServedQueues
from workers.runtime import runtime_of

log = get_logger()

NONE_YET = -1

LOOK_SECONDS = 0.25
"""How often a worker asks for the configuration in force, which looks for itself less often."""


class ConfigurationFollower:
    """What one worker's consumer does when the configuration has changed."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._app = consumer.app
        self._fleet = FleetConfiguration(version=NONE_YET)
        self._warned: list[str] = []

    @property
    def fleet(self) -> FleetConfiguration:
        """The configuration whose queues the worker serves."""
        return self._fleet

    def follow(self) -> FleetConfiguration:
        """Serve the providers of the configuration in force, and return it.

        New providers get a task and, if this worker serves them, their queue. Removed ones are
        left; their running calls end.
        """
        fleet = runtime_of(self._app).configuration.current()
        if fleet is not self._fleet:
            before, self._fleet = self._fleet.providers, fleet
            self._change(before, fleet.providers)
            self.serve()
        return fleet

    def serve(self) -> None:
        """Listen to the queues that this worker serves now, and to no others."""
        queues: ServedQueues = self._app.amqp.queues
        if queues.unknown != self._warned:
            self._warned = queues.unknown
            if self._warned:
                log.warning("not_configured", serves=queues.serving, unknown=self._warned)
        listening = self._consumer.task_consumer
        if listening is None:
            return  # between two connections; the next one begins with them
        wanted = queues.consume_from
        listed = {queue.name for queue in listening.queues}
        for name in listed - wanted.keys():
            listening.cancel_by_queue(name)
        added = [queue for name, queue in wanted.items() if name not in listed]
        for queue in added:
            listening.add_queue(queue)
        if added:
            listening.consume()

    def _change(
        self, before: Mapping[str, ProviderConfig], configs: Mapping[str, ProviderConfig]
    ) -> None:
        app, strategies = self._app, self._consumer.strategies
        for name, config in configs.items():
            if before.get(name) is not config:
                task = configured(app.tasks, config)
                strategies[task.name] = task.start_strategy(app, self._consumer)
        for name in before.keys() - configs.keys():
            # A message that is on its way finds no task, as for any unknown name.
            strategies.pop(call_task(name), None)
        app.amqp.queues.configure(configs)
        seconds = visibility_seconds(configs)
        app.conf.broker_transport_options["visibility_timeout"] = seconds
        if self._consumer.task_consumer is not None:
            self._consumer.task_consumer.channel.visibility_timeout = seconds


class FollowConfiguration(bootsteps.StartStopStep):
    """Has the worker look at the configuration, in its loop."""

    requires = (Tasks,)  # type: ignore[assignment]  # typed as an empty tuple

    def __init__(self, consumer: Any, **_: Any) -> None:
        self._timer: Any = None
        self._stopped = threading.Event()

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        """Start, in a worker with an event loop (prefork, threads, solo)."""
        self._timer = hub.call_repeatedly(LOOK_SECONDS, _follow, consumer)

    def start(self, consumer: Any) -> None:
        """Start, in a worker without an event loop (gevent, eventlet)."""
        if consumer.hub is None:
            self._stopped = threading.Event()
            args = (consumer, self._stopped)
            threading.Thread(
                target=_follow_on, args=args, daemon=True, name="sisgate-follow"
            ).start()

    def stop(self, consumer: Any) -> None:
        """Stop looking; after a lost connection it is started again."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _follow_on(consumer: Any, stopped: threading.Event) -> None:
    while not stopped.wait(LOOK_SECONDS):
        _follow(consumer)


def _follow(consumer: Any) -> None:
    try:
        consumer.following.follow()
    except consumer.connection_errors:
        log.debug("configuration_not_followed")  # the consumer itself notices, and reconnects
    except Exception:
        log.exception("configuration_not_followed")
