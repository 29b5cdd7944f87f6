"""Admission: a worker with a free slot takes the most urgent message for which there is a permit.

A bootstep of the consumer. Provider queues are not pushed to the worker (`admission.consumer`);
the backlog stays in the broker, in order of priority, and nothing is held here. It fetches
when a publisher signals, when a task ends, when a permit becomes free, and now and then.
"""

from contextlib import suppress
from typing import Any

from billiard.exceptions import Terminated, WorkerLostError
from celery import bootsteps
from celery.worker.consumer.tasks import Tasks
from celery.worker.request import Request

from sisgate.broker import CALL_TASK_PREFIX
from sisgate.errors import BrokerUnavailable
from workers.admission.event_loop import GreenDriver, HubDriver
from workers.admission.fetcher import Fetcher, admitted_queues
from workers.runtime import runtime_of


class PlanRequest(Request):
    """The planning of a job, whose id it has.

    An app that revokes its own `sisgate.sync` revokes the same id. If a worker then dropped the
    planning, too, it would drop it again each time the ledger sends it.
    """

    def revoked(self) -> bool:
        """Return False: an accepted job ends by being cancelled."""
        return False


class CallRequest(Request):
    """A call in this worker; its end frees a slot, so it wakes admission."""

    begun_at: float | None = None
    """When a pool's process or thread took it, by the machine's monotonic clock."""

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Note when the call began."""
        super().on_accepted(pid, time_accepted)
        self.begun_at = time_accepted

    def acknowledge(self) -> None:
        """Acknowledge the message and wake admission."""
        super().acknowledge()
        begun, clock = self.begun_at, runtime_of(self.task.app).clock
        self.task.app.sisgate_slot_freed(None if begun is None else clock.monotonic() - begun)

    def reject(self, requeue: bool = False) -> None:
        """Reject the message and wake admission."""
        super().reject(requeue)
        self.task.app.sisgate_slot_freed(None)

    def revoked(self) -> bool:
        """Return whether the task was revoked; if so, hand back its permit."""
        is_revoked: bool = super().revoked()
        if is_revoked and (permit := self._permit()) is not None:
            with suppress(BrokerUnavailable):
                self._limiter().hand_back(self._provider, permit)
        return is_revoked

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Handle a task that raised: any call has ended, so its permit is finished.

        If the process was lost, the permit counts to the end of its lease, to be safe.
        """
        try:
            return super().on_failure(exc_info, *args, **kwargs)
        finally:
            was_lost = isinstance(exc_info.exception, WorkerLostError | Terminated)
            if not was_lost and (permit := self._permit()) is not None:
                # An outage of Redis must not keep the slot occupied.
                with suppress(BrokerUnavailable):
                    self._limiter().finish(self._provider, permit)

    @property
    def _provider(self) -> str:
        return str(self.name).removeprefix(CALL_TASK_PREFIX)

    def _permit(self) -> str | None:
        permit = self._request_dict.get("sisgate_permit")
        return permit["id"] if permit else None

    def _limiter(self) -> Any:
        return runtime_of(self.task.app).limiter


class Admission(bootsteps.StartStopStep):
    """Runs the fetcher while the consumer runs; restarts after each reconnect."""

    requires = (Tasks,)  # type: ignore[assignment]  # typed as an empty tuple

    def __init__(self, consumer: Any, **_: Any) -> None:
        consumer.app.sisgate_slot_freed = _nothing
        self._driver: HubDriver | GreenDriver | None = None

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        """Start, in a worker with an event loop (prefork, threads, solo)."""
        self._begin(consumer, HubDriver(hub, runtime_of(consumer.app)))

    def start(self, consumer: Any) -> None:
        """Start, in a worker without an event loop (gevent, eventlet)."""
        if consumer.hub is None:
            self._begin(consumer, GreenDriver(runtime_of(consumer.app)))

    def stop(self, consumer: Any) -> None:
        """Stop taking messages."""
        consumer.app.sisgate_slot_freed = _nothing
        if self._driver is not None:
            self._driver.stop()
            self._driver = None

    def info(self, consumer: Any) -> dict[str, Any]:
        """Report to `inspect stats` which queues are admitted by permit."""
        return {"sisgate": {"admitted_by_permit": sorted(admitted_queues(consumer))}}

    def _begin(self, consumer: Any, driver: HubDriver | GreenDriver) -> None:
        if self._driver is not None:
            self._driver.stop()
        self._driver = driver
        fetcher = Fetcher(consumer, runtime_of(consumer.app))
        driver.begin(fetcher)

        def slot_freed(seconds: float | None) -> None:
            if seconds is not None:
                fetcher.note_end(seconds)
            driver.wake()

        consumer.app.sisgate_slot_freed = slot_freed


def _nothing(_: float | None) -> None:
    return None
