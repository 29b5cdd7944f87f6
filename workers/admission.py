"""Admission: a worker with a free slot takes the most urgent message for which there is a permit.

A bootstep of the consumer. Provider queues are not pushed to the worker (`workers.consumer`);
the backlog stays in the broker, in order of priority, and nothing is held here. A look is taken
when a publisher signals, when a task ends, when a permit becomes free, and now and then.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import redis
import structlog
from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.tasks import Tasks
from celery.worker.request import Request
from kombu.transport.virtual import QoS as VirtualQoS
from kombu.utils.json import loads

from sisgate.admission.admitter import Admitted, Admitter
from sisgate.admission.slots import DEFAULT_SHARE, share_out
from sisgate.broker import CALL_TASK_PREFIX
from sisgate.errors import BrokerUnavailable
from workers import admit
from workers.consumer import is_admitted
from workers.runtime import Runtime

log = structlog.get_logger()

SOON_SECONDS = 0.05
IDLE_SECONDS = 1.0
"""How long a worker waits between two looks by itself: less after work, more when idle."""

QUARANTINE = "sisgate:1:quarantine"
QUARANTINE_LENGTH = 100
QUARANTINE_BYTES = 2000
"""Messages that nobody can read are kept, cut short, for a person to look at."""

RETRY_SECONDS = 1.0
"""How long it waits after Redis did not answer."""


class CallRequest(Request):
    """A call in this worker; its end frees a slot, so it wakes the admission."""

    def acknowledge(self) -> None:
        """Acknowledge the message and look for the next one."""
        super().acknowledge()
        self.task.app.sisgate_slot_freed()

    def reject(self, requeue: bool = False) -> None:
        """Reject the message and look for the next one."""
        super().reject(requeue)
        self.task.app.sisgate_slot_freed()


class Admission(bootsteps.StartStopStep):
    """Runs the pull as long as the consumer runs; starts anew after each reconnect."""

    requires = (Tasks,)  # type: ignore[assignment]  # typed as an empty tuple

    def __init__(self, consumer: Any, **_: Any) -> None:
        consumer.app.sisgate_slot_freed = _nothing
        self._driver: HubDriver | GreenDriver | None = None

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        """Begin, in a worker with an event loop (prefork, threads, solo)."""
        self._begin(consumer, HubDriver(hub, consumer.app.sisgate_runtime()))

    def start(self, consumer: Any) -> None:
        """Begin, in a worker without an event loop (gevent, eventlet)."""
        if consumer.hub is None:
            self._begin(consumer, GreenDriver(consumer.app.sisgate_runtime()))

    def stop(self, consumer: Any) -> None:
        """Take no more messages."""
        consumer.app.sisgate_slot_freed = _nothing
        if self._driver is not None:
            self._driver.stop()
            self._driver = None

    def info(self, consumer: Any) -> dict[str, Any]:
        """Tell `inspect stats` which queues are admitted by permit."""
        return {"sisgate": {"admitted_by_permit": admitted_queues(consumer)}}

    def _begin(self, consumer: Any, driver: HubDriver | GreenDriver) -> None:
        if self._driver is not None:
            self._driver.stop()
        self._driver = driver
        driver.begin(Puller(consumer, consumer.app.sisgate_runtime()))
        consumer.app.sisgate_slot_freed = driver.wake


class Puller:
    """One look: what waits, which slots are free, take and hand over."""

    def __init__(self, consumer: Any, runtime: Runtime) -> None:
        self._consumer = consumer
        self._runtime = runtime
        self._admitter = Admitter(runtime.redis, runtime.limiter)
        self._idle_seconds = SOON_SECONDS
        self._turn = 0

    def serves(self, provider: str) -> bool:
        """Whether this worker consumes a provider's queue."""
        return provider in admitted_queues(self._consumer)

    def pull(self) -> float:
        """Take what there are slots and permits for; return the seconds until the next look."""
        if _is_shutting_down():
            return IDLE_SECONDS
        providers = admitted_queues(self._consumer)
        slots = self._consumer.pool.num_processes
        busy = len(state.reserved_requests)
        if not providers or busy >= slots:
            return IDLE_SECONDS
        self._turn += 1
        turn = self._turn % len(providers)
        waiting = self._admitter.waiting(providers[turn:] + providers[:turn])
        if not waiting:
            self._idle_seconds = min(IDLE_SECONDS, 2 * self._idle_seconds)
            return self._idle_seconds
        self._idle_seconds = SOON_SECONDS
        return self._take(providers, waiting, slots, busy)

    def _take(self, providers: list[str], waiting: list[str], slots: int, busy: int) -> float:
        configs = self._runtime.settings.providers
        share = 1.0 if len(providers) == 1 else DEFAULT_SHARE
        shares = {name: configs[name].slot_share or share for name in waiting}
        wants = share_out(slots, busy, _running(), waiting, shares)
        specs = {want.provider: self._runtime.limits(configs[want.provider]) for want in wants}
        next_look = IDLE_SECONDS
        for admitted in self._admitter.admit(wants, specs):
            for permit, text in admitted.messages:
                self._deliver(admitted, permit, text)
            if admitted.reason == "unknown":
                admit.note_unknown(self._runtime, admitted.provider)
            if admitted.left and admitted.wait_seconds > 0:
                next_look = min(next_look, admitted.wait_seconds)
            elif admitted.left and admitted.messages:
                next_look = 0.0
        return next_look

    def _deliver(self, admitted: Admitted, permit: str, text: bytes) -> None:
        consumer = self._consumer.task_consumer
        channel = consumer.channel
        try:
            payload = loads(text)
            payload["headers"]["sisgate_permit"] = {
                "id": permit,
                "factor": admitted.factor,
                "granted_at": self._runtime.clock.now().timestamp(),
            }
            message = channel.Message(payload, channel=channel)
            message.accept = consumer.accept
            tag = message.delivery_tag
        except Exception as error:  # noqa: BLE001  # whatever is in the queue, the worker must live
            self._quarantine(admitted.provider, permit, text, error)
            return
        # `admit.lua` has put it into `unacked`; here it is only noted as this worker's.
        VirtualQoS.append(channel.qos, message, tag)
        consumer.on_message(message)

    def _quarantine(self, provider: str, permit: str, text: bytes, error: Exception) -> None:
        self._runtime.limiter.hand_back(provider, permit)
        self._runtime.redis.lpush(QUARANTINE, text[:QUARANTINE_BYTES])
        self._runtime.redis.ltrim(QUARANTINE, 0, QUARANTINE_LENGTH - 1)
        log.error("message_quarantined", provider=provider, reason=type(error).__name__)


class HubDriver:
    """Runs the pull on the worker's event loop: by signal, by timer, and when a slot is freed."""

    def __init__(self, hub: Any, runtime: Runtime) -> None:
        self._hub = hub
        self._runtime = runtime
        self._timer: Any = None
        self._signals: Any = None
        self._socket: Any = None
        self._is_due = False
        self._has_stopped = False

    def begin(self, puller: Puller) -> None:
        """Look for the first time as soon as the loop turns."""
        self._puller = puller
        self._hub.call_soon(self._listen)
        self.wake()

    def wake(self) -> None:
        """Look as soon as the loop turns. From any thread; many calls are one look."""
        if not self._is_due and not self._has_stopped:
            self._is_due = True
            self._hub.call_soon(self._look)

    def stop(self) -> None:
        """Look no more."""
        self._has_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self._unlisten()

    def _look(self) -> None:
        self._is_due = False
        if self._has_stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
        seconds = guarded(self._puller)
        if seconds <= 0:
            self.wake()
        else:
            self._timer = self._hub.call_later(seconds, self._look_by_timer)

    def _look_by_timer(self) -> None:
        self._timer = None
        if self._socket is None and not self._has_stopped:
            self._listen()
        self._look()

    def _listen(self) -> None:
        try:
            self._signals = self._runtime.wakeups.signals()
            self._socket = self._signals.connection._sock  # redis-py shows no fd
            self._hub.add_reader(self._socket, self._on_signal)
        except (redis.RedisError, OSError):
            self._unlisten()

    def _unlisten(self) -> None:
        if self._socket is not None:
            self._hub.remove_reader(self._socket)
            self._socket = None
        if self._signals is not None:
            self._signals.close()
            self._signals = None

    def _on_signal(self) -> None:
        try:
            is_ours = False
            while (message := self._signals.get_message(timeout=0)) is not None:
                is_ours = is_ours or self._puller.serves(message["data"].decode())
        except (redis.RedisError, OSError):
            self._unlisten()
            is_ours = True
        if is_ours:
            self.wake()


class GreenDriver:
    """Runs the pull in a thread, which gevent and eventlet make a green one."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._due = threading.Event()
        self._has_stopped = False

    def begin(self, puller: Puller) -> None:
        """Start to look."""
        self._puller = puller
        for target in (self._look, self._listen):
            threading.Thread(target=target, daemon=True, name="sisgate-admission").start()

    def wake(self) -> None:
        """Look at once."""
        self._due.set()

    def stop(self) -> None:
        """Look no more."""
        self._has_stopped = True
        self._due.set()

    def _look(self) -> None:
        while not self._has_stopped:
            self._due.clear()
            seconds = guarded(self._puller)
            if seconds > 0:
                self._due.wait(seconds)

    def _listen(self) -> None:
        signals = None
        while not self._has_stopped:
            try:
                signals = signals or self._runtime.wakeups.signals()
                if signals.get_message(timeout=IDLE_SECONDS) is not None:
                    self._due.set()
            except (redis.RedisError, OSError):
                signals = None
                self._runtime.clock.sleep(RETRY_SECONDS)


def guarded(puller: Puller) -> float:
    """Look, and survive what goes wrong; return the seconds until the next look."""
    try:
        return puller.pull()
    except BrokerUnavailable as error:
        log.warning("admission_waits", reason=error.message)
    except Exception:
        log.exception("admission_failed")
    return RETRY_SECONDS


def admitted_queues(consumer: Any) -> list[str]:
    """Return the names of the queues that this worker consumes by permit."""
    if consumer.task_consumer is None:
        return []
    return sorted(queue.name for queue in consumer.task_consumer.queues if is_admitted(queue))


def _is_shutting_down() -> bool:
    # Worker state is a module's globals, set by the signal handlers.
    signals = (getattr(state, name) for name in ("should_stop", "should_terminate"))
    return any(signal not in {None, False} for signal in signals)


def _running() -> Counter[str]:
    names = (request.name or "" for request in list(state.reserved_requests))
    return Counter(name.removeprefix(CALL_TASK_PREFIX) for name in names)


def _nothing() -> None:
    return None
